"""Knowledge distillation: networks, training, export. Importing it does not import TensorFlow."""
