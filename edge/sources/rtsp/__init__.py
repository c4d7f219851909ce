"""RTSP without FFmpeg reaching the network: addresses, the relay, and what it adds to RTP."""
