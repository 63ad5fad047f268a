"""The work of each step, free of Airflow; ``operators`` call it."""
