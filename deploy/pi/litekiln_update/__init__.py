"""How a Pi gets another image, and thirty of them: the programs `update` and `update-room`. Python 3.11, nothing else."""
