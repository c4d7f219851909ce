// The teacher's heatmap, moved on with its objects, as the student's prior. The specification is edge/ops/host.py; the two
// agree bit for bit: cells are copied, never computed with.

struct Heatmap {
  const float* values;  // (cells), row by row
  const int* owners;    // (cells) row of the object that a cell belongs to, -1 for the background
  const int* shifts;    // (objects, 2) cells x, y
  const int* columns;   // (the prior's columns, 2) first and last of the heatmap's that each one meets; last < first: none
  const int* rows;
  const int* columns_back;  // (the heatmap's columns, 2) first and last of the prior's
  const int* rows_back;
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

// First half of a move: the largest of what stays, of the heatmap's cells that meet one of the prior's; moving cells leave 0
// behind. One thread per cell of the prior (width, height); y is the lane. from_width: the heatmap's.
extern "C" __global__ void move_begin(const Heatmap* heatmaps, float* out, int width, int height, int from_width) {
  const int cell = blockIdx.x * blockDim.x + threadIdx.x, cells = width * height;
  if (cell >= cells) return;
  const Heatmap& heatmap = heatmaps[blockIdx.y];
  const int* columns = heatmap.columns + 2 * (cell % width);
  const int* rows = heatmap.rows + 2 * (cell / width);
  float largest = 0.0f;
  for (int y = rows[0]; y <= rows[1]; ++y)
    for (int x = columns[0]; x <= columns[1]; ++x) {
      const int from = y * from_width + x;
      if (!moves(heatmap, heatmap.owners[from]) && heatmap.values[from] > largest) largest = heatmap.values[from];
    }
  out[(long long)cells * blockIdx.y + cell] = largest;
}

// Second half: moving cells arrive; the largest value stays. Values are not negative, so their bits are ordered as they are.
// One thread per cell of the heatmap.
extern "C" __global__ void move_end(const Heatmap* heatmaps, float* out, int width, int height, int from_width,
                                    int from_height) {
  const int cell = blockIdx.x * blockDim.x + threadIdx.x;
  if (cell >= from_width * from_height) return;
  const Heatmap& heatmap = heatmaps[blockIdx.y];
  const int owner = heatmap.owners[cell];
  if (!moves(heatmap, owner)) return;
  const int x = cell % from_width + heatmap.shifts[2 * owner], y = cell / from_width + heatmap.shifts[2 * owner + 1];
  if (x < 0 || x >= from_width || y < 0 || y >= from_height) return;
  const int* columns = heatmap.columns_back + 2 * x;
  const int* rows = heatmap.rows_back + 2 * y;
  float* prior = out + (long long)width * height * blockIdx.y;
  for (int row = rows[0]; row <= rows[1]; ++row)
    for (int column = columns[0]; column <= columns[1]; ++column)
      atomicMax(reinterpret_cast<int*>(prior + row * width + column), __float_as_int(heatmap.values[cell]));
}
