"""A trained model as a folder to take away: written by `agser export`, read by `agser predict` and `load_model`."""
