"""``elysium:node:IntelGpu`` and ``elysium:node:GpuCapacity``: the Intel GPU.

What belongs here: the GPU as the node's kernel shows it, and as the cluster
offers it to Pods. What does not: the device plugin, which the program in
``stacks`` creates.
"""
