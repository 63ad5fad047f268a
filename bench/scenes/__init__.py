"""The pictures of the bench's clips, drawn: what a camera, an animator or a screen recorder would deliver.

A scene is a function of photos, size and number of frames, and yields frames as arrays of bytes, height x
width x 3 (RGB, full range). All chance is of a seeded generator: the same versions of numpy and Pillow draw
the same scene.
"""
