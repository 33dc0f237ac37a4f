"""`inv lint`: find what is wrong with a .tflite file from elsewhere, from the file alone."""
