// The teacher's heatmap, moved on with its objects, as the student's prior. The specification is edge/ops/host.py; the two
// agree bit for bit: cells are copied, never computed with.

struct Heatmap {
  const float* values;  // (cells), row by row
  const int* owners;    // (cells) row of the object that a cell belongs to, -1 for the background
  const int* shifts;    // (objects, 2) cells x, y
};

__device__ __forceinline__ bool moves(const Heatmap& heatmap, int owner) {
  return owner >= 0 && (heatmap.shifts[2 * owner] != 0 || heatmap.shifts[2 * owner + 1] != 0);
}

// Which object each cell belongs to: of those in whose window it lies, the one with the smallest
// distance^2 / (2 radius + 1)^2, then the first. Fractions are compared crosswise, so ties are exact.
// One thread per cell. centres: (objects, 2) cells. radii: (objects) cells. out: (cells)
extern "C" __global__ void own(const int* centres, const int* radii, int objects, int* out, int width, int height) {
  const int cell = blockIdx.x * blockDim.x + threadIdx.x;
  if (cell >= width * height) return;
  const int x = cell % width, y = cell / width;
  int owner = -1;
  long long nearest = 0, nearest_span = 1;
  for (int object = 0; object < objects; ++object) {
    const long long radius = radii[object];
    const long long dx = (long long)x - centres[2 * object], dy = (long long)y - centres[2 * object + 1];
    if (dx < -radius || dx > radius || dy < -radius || dy > radius) continue;
    const long long distance = dx * dx + dy * dy, span = (2 * radius + 1) * (2 * radius + 1);
    if (owner < 0 || distance * nearest_span < nearest * span) {
      owner = object;
      nearest = distance;
      nearest_span = span;
    }
  }
  out[cell] = owner;
}

// First half of a move: what stays where it is; moving cells leave 0 behind. One thread per cell; y is the lane.
extern "C" __global__ void move_begin(const Heatmap* heatmaps, float* out, int width, int height) {
  const int cell = blockIdx.x * blockDim.x + threadIdx.x, cells = width * height;
  if (cell >= cells) return;
  const Heatmap& heatmap = heatmaps[blockIdx.y];
  out[(long long)cells * blockIdx.y + cell] = moves(heatmap, heatmap.owners[cell]) ? 0.0f : heatmap.values[cell];
}

// Second half: moving cells arrive; the largest value stays. Values are not negative, so their bits are ordered as they are.
extern "C" __global__ void move_end(const Heatmap* heatmaps, float* out, int width, int height) {
  const int cell = blockIdx.x * blockDim.x + threadIdx.x, cells = width * height;
  if (cell >= cells) return;
  const Heatmap& heatmap = heatmaps[blockIdx.y];
  const int owner = heatmap.owners[cell];
  if (!moves(heatmap, owner)) return;
  const int x = cell % width + heatmap.shifts[2 * owner], y = cell / width + heatmap.shifts[2 * owner + 1];
  if (x < 0 || x >= width || y < 0 || y >= height) return;
  int* there = reinterpret_cast<int*>(out + (long long)cells * blockIdx.y + (long long)width * y + x);
  atomicMax(there, __float_as_int(heatmap.values[cell]));
}
