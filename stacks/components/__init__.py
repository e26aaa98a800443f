"""The parts of a cluster, each a Pulumi component with typed arguments."""
