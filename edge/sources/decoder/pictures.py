"""The decoder process's work by FFmpeg: each picture into the ring, or, where another decodes, each packet.

Some pictures come and are not worth much: `Damage`, most arrive broken; `FrozenPicture`, the camera is stuck.
"""

import time
import zlib
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np

from edge.ops.pixels import Pixels, on_host
from edge.sources.base import SourceError
from edge.sources.decoder.connection import CameraVideo, CodedPicture, camera_video, check_size
from edge.sources.decoder.messages import Format, Job, Note, Packet, Picture, Waiting
from edge.sources.decoder.ring import Outlet
from edge.sources.hardware import decoded_on_gpu, gpu_decoding
from edge.sources.picture import BgrConverter, Nv12Converter

Converter = Callable[[av.VideoFrame], Pixels]
KEY_PATIENCE_S = 180.0
"""How long a key picture is waited for: smart codecs and restreamers have them a minute apart and more."""
TELL_EVERY_S = 0.5
"""How often the reader is told that packets flow, while no picture comes of them."""
FRUITLESS = 10
"""Coded pictures behind a key picture of which none can be decoded, at least, before a camera is said to send noise."""
MEMORY = 0.9
"""Share of the past in the running average: it looks back over about ten pictures."""
BROKEN, WHOLE = 0.5, 0.1
"""Averages of broken pictures: from the first on most are, below the second hardly one is."""
FEWEST = 3
"""Equal key pictures in a row, at least, before a camera is said to be stuck."""


def decode_on_cpu(outlet: Outlet, job: Job) -> None:
    """BGR pictures until the reader or the camera is gone."""
    with camera_video(job) as video:
        _Decoder(outlet, job, BgrConverter()).run(video)


def decode_on_gpu(outlet: Outlet, job: Job) -> None:
    """NV12 pictures from the GPU's video unit, or of FFmpeg's own decoder where the unit refuses; a note says why."""
    accelerator, refused = gpu_decoding()
    if accelerator is None:
        outlet.send(Note(f"decoded on the CPU: {refused}"))
    with camera_video(job, accelerator) as video:
        _Decoder(outlet, job, Nv12Converter(), tell_refusal=accelerator is not None).run(video)


class _Decoder:
    """One connection to a camera."""

    def __init__(self, outlet: Outlet, job: Job, convert: Converter, tell_refusal: bool = False) -> None:
        """`tell_refusal`: send a note should the first picture not come from the GPU."""
        self._outlet, self._url, self._settings = outlet, job.url, job.settings
        self._convert = convert
        self._frozen = FrozenPicture(job.settings.frozen_after_s)
        self._damage = Damage()
        self._number = 0
        self._tell_refusal = tell_refusal

    def run(self, video: CameraVideo) -> None:
        """Every picture until the camera hangs up; broken packets are skipped, unless nothing else comes."""
        video.stream.thread_type = "SLICE"
        video.stream.codec_context.thread_count = self._settings.decoder_threads
        began_s = told_s = fruitful_s = time.monotonic()
        keyed, fruitless = False, 0
        for coded in video.pictures():
            if coded.key and not keyed:
                keyed, fruitful_s = True, coded.monotonic_s
            try:
                pictures = coded.packet.decode()
            except av.error.InvalidDataError:
                pictures = []
                if keyed:  # before, there is nothing that it could be decoded from
                    self._damage.count(broken=True)
            for picture in pictures:
                self._note_refusal(picture, video)
                self._hand_over(picture, coded, video.frame_rate)
                fruitful_s = coded.monotonic_s
            fruitless = 0 if pictures else fruitless + keyed
            self._outlet.listen()
            if pictures:
                continue
            now_s = coded.monotonic_s
            if keyed and fruitless >= FRUITLESS and now_s > fruitful_s + self._settings.stall_timeout_s:
                raise SourceError("corrupt_video", f"{self._url} sends video that cannot be decoded")
            if not keyed and now_s > began_s + KEY_PATIENCE_S:
                what = f"sent no key picture for {KEY_PATIENCE_S:g} s; set a shorter key picture interval in the camera"
                raise SourceError("timeout", f"{self._url} {what}")
            if now_s - told_s >= TELL_EVERY_S:
                self._outlet.send(Waiting(for_key=not keyed))
                told_s = now_s

    def _hand_over(self, picture: av.VideoFrame, coded: CodedPicture, rate: float | None) -> None:
        """Leave a picture in a free slot; drop it where the reader is late."""
        check_size(self._url, self._settings, picture.width, picture.height)
        frozen = self._frozen.look(picture, coded.monotonic_s)
        self._damage.count(picture.is_corrupt)
        number, self._number = self._number, self._number + 1
        slot = self._outlet.slot_for_picture()
        if slot is None:
            return
        pixels, colours = on_host(self._convert(picture))
        nv12 = pixels.ndim == 2
        self._outlet.fill(slot, pixels)
        self._outlet.send(
            Picture(
                slot=slot,
                width=pixels.shape[1],
                height=pixels.shape[0] * 2 // 3 if nv12 else pixels.shape[0],
                number=number,
                pts=picture.pts,
                time_base=ratio(picture.time_base),
                monotonic_s=coded.monotonic_s,
                unix_s=coded.unix_s,
                frame_rate=rate,
                frozen=frozen,
                damaged=self._damage.most,
                nv12=colours if nv12 else None,
            )
        )

    def _note_refusal(self, picture: av.VideoFrame, video: CameraVideo) -> None:
        if self._tell_refusal and not decoded_on_gpu(picture):
            codec = video.stream.codec_context
            what = f"{codec.name} {codec.profile or ''} {picture.format.name} {picture.width}x{picture.height}"
            self._outlet.send(Note(f"decoded on the CPU: the GPU's video unit does not take {what}"))
        self._tell_refusal = False


def ratio(time_base: Fraction | None) -> tuple[int, int]:
    """Numerator and denominator; 0, 0 where there is none."""
    return (0, 0) if time_base is None else (time_base.numerator, time_base.denominator)


def hand_packets_over(outlet: Outlet, job: Job) -> None:
    """Packets until the reader or the camera is gone. A reader that is late keeps the camera waiting."""
    with camera_video(job) as video:
        codec = video.stream.codec_context
        outlet.send(Format(codec.codec.canonical_name, codec.extradata or b""))  # av1, not one of its decoders
        for picture in video.pictures():
            packet = picture.packet
            slot = outlet.slot_for_packet()
            outlet.fill(slot, np.frombuffer(bytes(packet), np.uint8))
            times = (ratio(packet.time_base), picture.monotonic_s, picture.unix_s, video.frame_rate)
            outlet.send(Packet(slot, packet.size, packet.pts, *times))


class Damage:
    """Says so from the time that most of the last pictures were broken until hardly one of them is.

    A lost packet now and then is part of life and shows for a moment at most. Half of the pictures broken means a
    camera or a network that somebody should look at, though decoders make up pictures from what they get.
    """

    def __init__(self) -> None:
        self._share = 0.0
        self.most = False
        """Whether it is so now."""

    def count(self, broken: bool) -> None:
        """One more picture, or packet that was to be one, came."""
        self._share = MEMORY * self._share + (1 - MEMORY) * broken
        self.most = self._share > (WHOLE if self.most else BROKEN)


class FrozenPicture:
    """Says so when all key pictures (those that the codec draws anew) of the last `after_s` seconds, three at least,
    are equal in brightness to the last bit.

    A still scene is not that still: the noise of a living sensor changes some pixel of every key picture. The pictures
    in between are not looked at. An encoder may well repeat them exactly while nothing moves; and it refines them, so
    that even a stuck picture differs from one to the next. What looks frozen and is not: a sensor without any noise,
    such as a drawn scene in which nobody moves. What is frozen and goes unnoticed: a stuck picture into which the
    camera draws a running clock, or whose encoder never draws anew or with changing quality.
    """

    def __init__(self, after_s: float) -> None:
        self._after_s = after_s
        self._print: int | None = None
        self._since_s = 0.0
        self._equal = 0
        self._frozen = False

    def look(self, picture: av.VideoFrame, now_s: float) -> bool:
        """Whether the camera is stuck, after one more picture that came at `now_s`."""
        if not picture.key_frame:
            return self._frozen
        fingerprint = zlib.crc32(picture.planes[0])  # of Y, or of all colours where there is one plane only
        if fingerprint != self._print:
            self._print, self._since_s, self._equal = fingerprint, now_s, 0
        self._equal += 1
        self._frozen = self._equal >= FEWEST and now_s - self._since_s >= self._after_s
        return self._frozen
