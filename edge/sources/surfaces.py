"""Pictures that are decoded on the GPU and stay there, for the networks on the same GPU.

The camera's connection, RTSP and the container stay in a decoder process, as always. Only coded packets come across
(some percent of the pictures' bytes), and this process, which owns the pipeline, has them decoded: a video unit writes
into the memory of the context that it was opened in. The price is isolation: FFmpeg reads each picture's headers in
this process, and a fault of the driver would end all streams. Hence the setting `gpu-direct`; `auto` never chooses it.

Neither alternative was better. CUDA's IPC would keep decoding apart, with a context (some hundred MB of the GPU's
memory) per camera, memory mapped across processes, and none of it on a Jetson. PyNvVideoCodec opens the same video
unit, but ends the whole process when the driver refuses something, and wants NVIDIA's encoder library for decoding.

What is copied: the packet once into the shared ring and once out of it; on the GPU, FFmpeg copies the picture once from
the video unit's few surfaces into memory of its own, which the letterbox kernel reads. The host sees no pixel.
"""

from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.codec.hwaccel import HWAccel
from av.error import FFmpegError, InvalidDataError

from edge.arrays import U8
from edge.ops.pixels import Surface
from edge.sources.decoder.connection import check_size
from edge.sources.decoder.messages import Format, Packet, Picture, Waiting
from edge.sources.decoder.process import DecoderServer
from edge.sources.hardware import clip_packets, open_decoder
from edge.sources.picture import colours_of
from edge.sources.rtsp.camera_url import CameraUrl
from edge.sources.session import DecodedPicture, DecodingRefused, Link
from edge.sources.settings import SourceSettings
from engines.cuda_device import CudaDevice


class SurfaceDecoder:
    """One stream's place on the video unit. Belongs to one thread."""

    def __init__(self, codec: str, extradata: bytes, device: CudaDevice) -> None:
        """`extradata`: parameter sets. Raises DecodingRefused."""
        self._device = device
        accelerator = HWAccel("cuda", device=str(device.index), is_hw_owned=True)  # in the device's own context
        try:
            self._decoder = open_decoder(codec, accelerator)
        except (FFmpegError, ValueError, RuntimeError) as error:
            raise DecodingRefused(f"the GPU's video unit does not open for {codec} ({error})") from None
        if extradata:
            self._decoder.extradata = extradata

    @property
    def frame_rate(self) -> float | None:
        """Frames per second that the parameter sets announce; None where they do not, or before they came."""
        return float(self._decoder.framerate) if self._decoder.framerate else None

    def decode(self, packet: "av.Packet[av.VideoStream]") -> Iterator[tuple[av.VideoFrame, Surface]]:
        """Pictures that are complete with this packet. What cannot be decoded is skipped. Raises DecodingRefused."""
        try:
            pictures = self._decoder.decode(packet)
        except InvalidDataError:
            return
        except FFmpegError as error:  # no memory, too many streams: FFmpeg has it from the driver
            raise DecodingRefused(f"the GPU's video unit failed ({error})") from None
        for picture in pictures:
            yield picture, self._surface(picture)

    def _surface(self, picture: av.VideoFrame) -> Surface:
        """The picture where it lies, with an event behind all that FFmpeg has queued for it."""
        layout = picture.sw_format.name if picture.sw_format else picture.format.name
        what = f"{self._decoder.name} {self._decoder.profile or ''} {layout} {picture.width}x{picture.height}"
        if picture.format.name != "cuda":
            raise DecodingRefused(f"the GPU's video unit does not take {what}")
        if layout != "nv12" or picture.width % 2 or picture.height % 2:
            raise DecodingRefused(f"the pipeline takes 8 bit NV12 with even sides from the GPU, not {what}")
        luma, chroma = picture.planes
        if luma.line_size != chroma.line_size:
            raise DecodingRefused(f"luma and chroma lie apart by different pitches in {what}")
        rows = picture.height
        self._device.make_current()
        return Surface(
            luma=self._device.borrow(luma.buffer_ptr, (rows, luma.line_size), np.uint8, picture),
            chroma=self._device.borrow(chroma.buffer_ptr, (rows // 2, luma.line_size), np.uint8, picture),
            width=picture.width,
            ready=self._device.record_default(),
            device=self._device,
            colours=colours_of(picture),
        )


class SurfaceSession:
    """A session whose decoder process hands out packets, which this process has decoded. See `session.Session`."""

    def __init__(self, url: CameraUrl, settings: SourceSettings, decoders: DecoderServer, device: CudaDevice) -> None:
        self._url, self._settings, self._device = url, settings, device
        self._link = Link(url, settings, decoders, "packets")
        self._decoder: SurfaceDecoder | None = None
        self._waiting: deque[DecodedPicture] = deque()
        self._number = 0

    @property
    def decoder_pid(self) -> int:
        return self._link.pid

    def next(self, timeout_s: float) -> DecodedPicture | Waiting | None:
        flowed = False
        if not self._waiting:
            match self._link.receive(timeout_s):
                case Format(codec, extradata):
                    self._decoder = SurfaceDecoder(codec, extradata, self._device)
                case Packet() as packet if self._decoder is not None:
                    self._waiting.extend(self._decoded(self._decoder, packet))
                    flowed = True
                case None:
                    pass
                case _:
                    self._link.crashed("sends nonsense")
        if self._waiting:
            return self._waiting.popleft()
        return Waiting() if flowed else None

    def close(self, patience_s: float = 0.0) -> None:
        self._waiting.clear()
        self._decoder = None  # now: the error that ended a session keeps it alive as long as the next one lasts
        self._link.close(patience_s)

    def _decoded(self, decoder: SurfaceDecoder, packet: Packet) -> Iterator[DecodedPicture]:
        coded = cast("av.Packet[av.VideoStream]", av.Packet(self._link.payload(packet)))
        coded.pts = packet.pts
        if packet.time_base[1]:
            coded.time_base = Fraction(*packet.time_base)
        for picture, surface in decoder.decode(coded):
            check_size(self._url, self._settings, picture.width, picture.height)
            about = Picture(
                slot=packet.slot,
                width=picture.width,
                height=picture.height,
                number=self._number,
                pts=picture.pts,
                time_base=packet.time_base,
                monotonic_s=packet.monotonic_s,
                unix_s=packet.unix_s,
                frame_rate=decoder.frame_rate or packet.frame_rate,
                frozen=False,  # nobody on the host sees a pixel
                damaged=False,
            )
            self._number += 1
            yield DecodedPicture(surface, about)


def decode_clip(device: CudaDevice) -> list[U8]:
    """The probe clip decoded on `device` and fetched, NV12; all its pictures are held meanwhile, as streams do."""
    decoder = SurfaceDecoder("h264", b"", device)
    surfaces = [surface for packet in clip_packets() for _, surface in decoder.decode(packet)]
    return [surface.download() for surface in surfaces]
