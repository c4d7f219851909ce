// Enough of CUDA to run kernels as host C++: one thread of the grid after the other, on the very source of edge/kernels.
#pragma once
#include <cstring>

#define __global__
#define __device__
#define __forceinline__ inline
#define __noinline__

struct Dim3 {
  unsigned x = 1, y = 1, z = 1;
};

static Dim3 gridDim, blockDim, blockIdx, threadIdx;

static inline int atomicMax(int* address, int value) {
  const int old = *address;
  if (value > old) *address = value;
  return old;
}

static inline int __float_as_int(float value) {
  int bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}
