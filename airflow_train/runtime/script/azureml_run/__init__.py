"""What `azureml.core` gives to scripts, in terms of `train_run`. Standard library only, Python 3.8 and newer."""
