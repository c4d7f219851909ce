"""FFmpeg behind a wall: each camera's connection and decoder run in a process of their own.

    edge.sources.session.CameraSession            this process: one reader thread per camera
        |  job: address, settings                     ^  header of each picture, failure, exit status
        v  slot that is free again                    |  (a Unix socket of messages; pixels lie in the shared ring)
    a decoder, one process per camera             demultiplexes, decodes, converts to BGR, writes into the ring
        ^ forked by
    decoder.server, one process                   has imported FFmpeg once, so that a child starts in milliseconds

What a camera sends can at worst kill its own child, which is one more reason to reconnect: `decoder_crashed`. A child
has little address space, writes no files, and is killed when it neither delivers nor ends. Memory is anonymous (memfd)
and sockets have no names, so that nothing is left behind whoever dies: the kernel ends children with their server, and
the server ends when the process that started it is gone.

Files are decoded in the process that reads them (`edge.sources.video`): they are the operator's own, every frame of
them counts, and a command that reads one file has nothing else to protect.
"""
