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
  int offset, luma, red_v, green_u, green_v, blue_u; // of NV12: how it becomes BGR, in 20 bit fixed point
};

// Blue, green and red in ten bits each, from the lowest: room for the sum of four of each, and for its rounding. One
// register in place of three, of which a picture that is shrunk often needs many at a time.
typedef unsigned Colour;

__device__ __forceinline__ int clamp(int value, int low, int high) {
  return value < low ? low : value > high ? high : value;
}

__device__ __forceinline__ Colour packed(int blue, int green, int red) { return blue | green << 10 | red << 20; }

__device__ __forceinline__ Colour nv12_colour(const Picture& picture, int x, int y) {
  const unsigned char* chroma = picture.chroma + (long long)picture.pitch * (y / 2) + (x & ~1);
  int luma = picture.source[(long long)picture.pitch * y + x] - picture.offset;
  luma = (luma < 0 ? 0 : luma) * picture.luma + (1 << 19);
  const int u = chroma[0] - 128, v = chroma[1] - 128;
  return packed(clamp((luma + picture.blue_u * u) >> 20, 0, 255),
                clamp((luma + picture.green_v * v + picture.green_u * u) >> 20, 0, 255),
                clamp((luma + picture.red_v * v) >> 20, 0, 255));
}

__device__ __forceinline__ Colour source_colour(const Picture& picture, int x, int y) {
  if (picture.nv12) return nv12_colour(picture, x, y);
  const unsigned char* pixel = picture.source + (long long)picture.pitch * y + 3 * x;
  return packed(pixel[0], pixel[1], pixel[2]);
}

// The picture halved `halvings` times, each level rounded as if it had been stored. The pixels come in the order in which
// squares of four, of sixteen and so on are complete, so each level keeps no more than one sum.
__device__ __forceinline__ Colour shrunk(const Picture& picture, int x, int y) {
  const int levels = picture.halvings;
  if (levels == 0) return source_colour(picture, x, y);
  const Colour halves = packed(2, 2, 2), bytes = packed(255, 255, 255);
  Colour sum[6] = {0, 0, 0, 0, 0, 0};
  Colour colour = 0;
  for (unsigned index = 0; index < 1u << (2 * levels); ++index) {
    int dx = 0, dy = 0;
#pragma unroll
    for (int level = 0; level < 6; ++level) {
      dx |= (index >> (2 * level) & 1) << level;
      dy |= (index >> (2 * level + 1) & 1) << level;
    }
    colour = source_colour(picture, (x << levels) + dx, (y << levels) + dy);
    bool complete = true;
#pragma unroll
    for (int level = 0; level < 6; ++level) {
      if (complete && level < levels) {
        sum[level] += colour;
        complete = (index >> (2 * level) & 3) == 3;
        if (complete) {
          colour = (sum[level] + halves) >> 2 & bytes;
          sum[level] = 0;
        }
      }
    }
  }
  return colour;
}

// OpenCV's bilinear step for bytes: 11 bit weights, rows before columns are summed lose 4 bits, products 16.
__device__ __forceinline__ unsigned char blend(Colour top_left, Colour top_right, Colour bottom_left,
                                               Colour bottom_right, int shift, const int* column, const int* row) {
  const int top = (top_left >> shift & 255) * column[1] + (top_right >> shift & 255) * column[2];
  const int bottom = (bottom_left >> shift & 255) * column[1] + (bottom_right >> shift & 255) * column[2];
  return (unsigned char)clamp((((row[1] * (top >> 4)) >> 16) + ((row[2] * (bottom >> 4)) >> 16) + 2) >> 2, 0, 255);
}

// Pixel x, y of the scaled picture.
__device__ __forceinline__ Colour scaled(const Picture& picture, int x, int y) {
  const int* column = picture.columns + 3 * x;
  const int* row = picture.rows + 3 * y;
  const int last_x = (picture.source_width >> picture.halvings) - 1;
  const int last_y = (picture.source_height >> picture.halvings) - 1;
  Colour corners[4];
#pragma unroll 1
  for (int corner = 0; corner < 4; ++corner) // one after the other: side by side they would take four times the registers
    corners[corner] = shrunk(picture, clamp(column[0] + (corner & 1), 0, last_x), clamp(row[0] + (corner >> 1), 0, last_y));
  const Colour a = corners[0], b = corners[1], c = corners[2], d = corners[3];
  return packed(blend(a, b, c, d, 0, column, row), blend(a, b, c, d, 10, column, row), blend(a, b, c, d, 20, column, row));
}

// One thread per input pixel; z is the picture. out: (pictures, 3, height, width), red first.
extern "C" __global__ void letterbox(const Picture* pictures, unsigned char* out, int width, int height, int grey) {
  const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
  if (x >= width || y >= height) return;
  const Picture& picture = pictures[blockIdx.z];
  const int in_x = x - picture.left, in_y = y - picture.top;
  Colour colour = packed(grey, grey, grey);
  if (in_x >= 0 && in_x < picture.width && in_y >= 0 && in_y < picture.height) colour = scaled(picture, in_x, in_y);
  const long long plane = (long long)width * height;
  unsigned char* pixel = out + 3 * plane * blockIdx.z + (long long)width * y + x;
  pixel[0] = (unsigned char)(colour >> 20);
  pixel[plane] = (unsigned char)(colour >> 10);
  pixel[2 * plane] = (unsigned char)colour;
}
