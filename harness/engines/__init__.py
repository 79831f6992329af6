"""Engines: where work runs. In this process, in processes of this machine, or on the nodes of a Ray cluster."""
