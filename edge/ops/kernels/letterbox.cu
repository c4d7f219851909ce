// Pictures into the network's input: shrink by halves, scale bilinearly, pad with grey, RGB planes; in one pass.
//
// The specification is edge/ops/host.py, which uses OpenCV; this is the same integer arithmetic, so the two agree bit for
// bit. The weights come from the host, so no target's floating point can change a pixel.

struct Picture {
  const unsigned char* source;  // height rows of pitch bytes, of BGR or of NV12's luma
  const unsigned char* chroma;  // of NV12: height / 2 rows of pitch bytes
  const int* columns;           // (width, 3) left neighbour, its weight, its right neighbour's; weights sum up to 2048
  const int* rows;              // (height, 3) the same downwards; a neighbour may lie outside and is moved to the edge
  int pitch;
  int source_width, source_height;
  int halvings;                 // 0 to 6: how often 2x2 means are taken before the bilinear step
  int nv12;
  int left, top, width, height; // of the scaled picture inside the input
};

struct Colour {
  int blue, green, red;
};

__device__ __forceinline__ int clamp(int value, int low, int high) {
  return value < low ? low : value > high ? high : value;
}

// Video range of ITU-R BT.601, in 20 bit fixed point.
__device__ __forceinline__ Colour nv12_colour(const Picture& picture, int x, int y) {
  const unsigned char* chroma = picture.chroma + (long long)picture.pitch * (y / 2) + (x & ~1);
  int luma = picture.source[(long long)picture.pitch * y + x] - 16;
  luma = (luma < 0 ? 0 : luma) * 1220542 + (1 << 19);
  const int u = chroma[0] - 128, v = chroma[1] - 128;
  return {clamp((luma + 2116026 * u) >> 20, 0, 255), clamp((luma - 852492 * v - 409993 * u) >> 20, 0, 255),
          clamp((luma + 1673527 * v) >> 20, 0, 255)};
}

__device__ __forceinline__ Colour source_colour(const Picture& picture, int x, int y) {
  if (picture.nv12) return nv12_colour(picture, x, y);
  const unsigned char* pixel = picture.source + (long long)picture.pitch * y + 3 * x;
  return {pixel[0], pixel[1], pixel[2]};
}

__device__ __forceinline__ Colour mean(const Colour& a, const Colour& b, const Colour& c, const Colour& d) {
  return {(a.blue + b.blue + c.blue + d.blue + 2) >> 2, (a.green + b.green + c.green + d.green + 2) >> 2,
          (a.red + b.red + c.red + d.red + 2) >> 2};
}

// The picture halved `halvings` times, each level rounded as if it had been stored. Not inlined: the code would grow by
// four with each level.
template <int halvings>
__device__ __noinline__ Colour halved(const Picture& picture, int x, int y) {
  return mean(halved<halvings - 1>(picture, 2 * x, 2 * y), halved<halvings - 1>(picture, 2 * x + 1, 2 * y),
              halved<halvings - 1>(picture, 2 * x, 2 * y + 1), halved<halvings - 1>(picture, 2 * x + 1, 2 * y + 1));
}

template <>
__device__ __noinline__ Colour halved<1>(const Picture& picture, int x, int y) {
  return mean(source_colour(picture, 2 * x, 2 * y), source_colour(picture, 2 * x + 1, 2 * y),
              source_colour(picture, 2 * x, 2 * y + 1), source_colour(picture, 2 * x + 1, 2 * y + 1));
}

__device__ __noinline__ Colour shrunk(const Picture& picture, int x, int y) {
  switch (picture.halvings) {
    case 0: return source_colour(picture, x, y);
    case 1: return halved<1>(picture, x, y);
    case 2: return halved<2>(picture, x, y);
    case 3: return halved<3>(picture, x, y);
    case 4: return halved<4>(picture, x, y);
    case 5: return halved<5>(picture, x, y);
    default: return halved<6>(picture, x, y);
  }
}

// OpenCV's bilinear step for bytes: 11 bit weights, rows before columns are summed lose 4 bits, products 16.
__device__ __forceinline__ int blend(int top_left, int top_right, int bottom_left, int bottom_right, const int* column,
                                     const int* row) {
  const int top = top_left * column[1] + top_right * column[2];
  const int bottom = bottom_left * column[1] + bottom_right * column[2];
  return clamp((((row[1] * (top >> 4)) >> 16) + ((row[2] * (bottom >> 4)) >> 16) + 2) >> 2, 0, 255);
}

__device__ __forceinline__ Colour scaled(const Picture& picture, int x, int y) {
  const int* column = picture.columns + 3 * x;
  const int* row = picture.rows + 3 * y;
  const int last_x = (picture.source_width >> picture.halvings) - 1;
  const int last_y = (picture.source_height >> picture.halvings) - 1;
  const int left = clamp(column[0], 0, last_x), right = clamp(column[0] + 1, 0, last_x);
  const int top = clamp(row[0], 0, last_y), bottom = clamp(row[0] + 1, 0, last_y);
  const Colour a = shrunk(picture, left, top), b = shrunk(picture, right, top);
  const Colour c = shrunk(picture, left, bottom), d = shrunk(picture, right, bottom);
  return {blend(a.blue, b.blue, c.blue, d.blue, column, row), blend(a.green, b.green, c.green, d.green, column, row),
          blend(a.red, b.red, c.red, d.red, column, row)};
}

// One thread per input pixel; z is the picture. out: (pictures, 3, height, width), red first.
extern "C" __global__ void letterbox(const Picture* pictures, unsigned char* out, int width, int height, int grey) {
  const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
  if (x >= width || y >= height) return;
  const Picture& picture = pictures[blockIdx.z];
  const int in_x = x - picture.left, in_y = y - picture.top;
  Colour colour = {grey, grey, grey};
  if (in_x >= 0 && in_x < picture.width && in_y >= 0 && in_y < picture.height) colour = scaled(picture, in_x, in_y);
  const long long plane = (long long)width * height;
  unsigned char* pixel = out + 3 * plane * blockIdx.z + (long long)width * y + x;
  pixel[0] = (unsigned char)colour.red;
  pixel[plane] = (unsigned char)colour.green;
  pixel[2 * plane] = (unsigned char)colour.blue;
}
