// All kernels behind one entry, which takes what cuLaunchKernel takes. Neither blocks nor threads may rely on an order, so
// they can be run forwards or backwards.
#include "host_cuda.h"

#include "letterbox.cu"
#include "prior.cu"

#include <cstddef>
#include <utility>

namespace {

template <class... Arguments, std::size_t... index>
void call(void (*kernel)(Arguments...), void** arguments, std::index_sequence<index...>) {
  kernel(*static_cast<Arguments*>(arguments[index])...);
}

unsigned at(unsigned step, unsigned count, bool backwards) { return backwards ? count - 1 - step : step; }

template <class... Arguments>
void run(void (*kernel)(Arguments...), Dim3 grid, Dim3 block, void** arguments, bool backwards) {
  gridDim = grid;
  blockDim = block;
  const unsigned blocks = grid.x * grid.y * grid.z, threads = block.x * block.y * block.z;
  for (unsigned b = 0; b < blocks; ++b) {
    const unsigned block_at = at(b, blocks, backwards);
    blockIdx = {block_at % grid.x, block_at / grid.x % grid.y, block_at / grid.x / grid.y};
    for (unsigned t = 0; t < threads; ++t) {
      const unsigned thread_at = at(t, threads, backwards);
      threadIdx = {thread_at % block.x, thread_at / block.x % block.y, thread_at / block.x / block.y};
      call(kernel, arguments, std::index_sequence_for<Arguments...>{});
    }
  }
}

}  // namespace

// 0, or 1 where there is no such kernel.
extern "C" int launch(const char* name, const unsigned* grid, const unsigned* block, void** arguments, int backwards) {
  const Dim3 g{grid[0], grid[1], grid[2]}, b{block[0], block[1], block[2]};
#define KERNEL(kernel) \
  if (!std::strcmp(name, #kernel)) return run(kernel, g, b, arguments, backwards != 0), 0;
  KERNEL(letterbox)
  KERNEL(own)
  KERNEL(move_begin)
  KERNEL(move_end)
  return 1;
}
