"""`inv lint`: what is wrong with a .tflite file that was made elsewhere, told from the file alone."""
