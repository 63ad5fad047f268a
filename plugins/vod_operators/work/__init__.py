"""What is done to a video, in the order of the steps; knows no Airflow. ``operators`` call it."""
