// libcuda for machines without a GPU: the driver's C interface over host memory, as far as NVIDIA's bindings call it for
// engines/cuda_device.py. Work is done when it is enqueued; graphs keep it. Every allocation has bounds, and a copy or a free outside them fails as the driver's would.
#include <dlfcn.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

extern "C" int launch(const char* name, const unsigned* grid, const unsigned* block, void** arguments, int backwards);

namespace {

enum {
  OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, NO_CONTEXT = 201, TOO_NEW = 222, NOT_FOUND = 500,
  CAPTURING = 900
};
using Work = std::function<int()>;
using Graph = std::vector<Work>;
struct Queue {
  Graph* captured = nullptr;  // while it captures
};
struct Launch {
  unsigned gx, gy, gz, bx, by, bz, shared;
  Queue* queue;
};
struct ArgumentSizes {
  const char* name;
  int count;
  const char* kinds;  // p: pointer, i: int
};
const ArgumentSizes KERNELS[] = {
    {"letterbox", 5, "ppiii"}, {"own", 6, "ppipii"}, {"move_begin", 5, "ppiii"}, {"move_end", 6, "ppiiii"}};

std::map<std::uintptr_t, std::size_t> memory;  // start -> bytes
thread_local bool current = false;
bool present = false;  // whether there is a GPU for whoever begins now
int live = 0;          // events, queues and graphs that were not destroyed
int allocations = 0;
std::size_t copied = 0;
bool backwards = false;
int failing = OK;  // what every call on the device comes to
bool gone = false;  // whether the context does not outlive that

int enqueue(Queue* queue, Work work) {
  if (!current) return NO_CONTEXT;
  if (failing) return failing;
  if (queue->captured) return queue->captured->push_back(std::move(work)), OK;
  return work();
}

int allocate(std::uintptr_t* out, std::size_t bytes) {
  if (!current) return NO_CONTEXT;
  void* start = nullptr;
  if (bytes >> 40 || posix_memalign(&start, 256, bytes)) return OUT_OF_MEMORY;
  std::memset(start, 0xAB, bytes);  // whoever reads it before writing shall notice
  *out = reinterpret_cast<std::uintptr_t>(start);
  memory[*out] = bytes;
  ++allocations;
  return OK;
}

int release(std::uintptr_t start) {
  if (!memory.erase(start)) return INVALID_VALUE;
  std::free(reinterpret_cast<void*>(start));
  return OK;
}

// Memory that is not ours is the caller's own (NumPy's), which the driver takes, too.
bool fits(std::uintptr_t start, std::size_t bytes) {
  auto next = memory.upper_bound(start);
  if (next == memory.begin()) return true;
  --next;
  const bool ours = start < next->first + next->second;
  return !ours || start + bytes <= next->first + next->second;
}

}  // namespace

extern "C" {
// The bindings ask for each function by its plain name, and mean the newest form of it.
int cuGetProcAddress_v2(const char* name, void** function, int, std::uint64_t, int* found) {
  static void* const here = [] {
    Dl_info info;
    dladdr(reinterpret_cast<void*>(&cuGetProcAddress_v2), &info);
    return dlopen(info.dli_fname, RTLD_NOLOAD | RTLD_NOW);
  }();
  for (const char* form : {"_v2", ""})
    if ((*function = dlsym(here, (std::string(name) + form).c_str()))) break;
  if (found) *found = *function ? 0 : 1;
  return *function ? OK : NOT_FOUND;
}
int cuInit(unsigned) { return present ? OK : NO_DEVICE; }
int cuGetErrorString(int status, const char** text) {
  *text = status == INVALID_VALUE ? "invalid argument" : status == NO_CONTEXT ? "invalid device context" : "error";
  return OK;
}
int cuGetErrorName(int status, const char** name) {
  static const std::map<int, const char*> names = {
      {INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE"}, {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY"},
      {46, "CUDA_ERROR_DEVICE_UNAVAILABLE"}, {NO_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT"},
      {TOO_NEW, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"}, {304, "CUDA_ERROR_OPERATING_SYSTEM"},
      {NOT_FOUND, "CUDA_ERROR_NOT_FOUND"}, {700, "CUDA_ERROR_ILLEGAL_ADDRESS"},
      {709, "CUDA_ERROR_CONTEXT_IS_DESTROYED"}, {710, "CUDA_ERROR_ASSERT"}, {719, "CUDA_ERROR_LAUNCH_FAILED"},
      {CAPTURING, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"}, {999, "CUDA_ERROR_UNKNOWN"}};
  return *name = names.at(status), OK;
}
int cuDriverGetVersion(int* version) { return *version = 13000, OK; }
int cuDeviceGetCount(int* count) { return *count = 1, OK; }
int cuDeviceGet(int* device, int index) { return *device = index, OK; }
int cuDeviceGetName(char* name, int, int) { return std::strcpy(name, "host driver"), OK; }
int cuDeviceGetAttribute(int* value, int which, int) { return *value = which == 75 ? 9 : 0, OK; }
int cuDevicePrimaryCtxRetain(void** context, int) { return *context = &memory, OK; }
int cuDevicePrimaryCtxRelease_v2(int) { return OK; }
int cuDevicePrimaryCtxSetFlags_v2(int, unsigned flags) { return flags == 4 ? OK : INVALID_VALUE; }
int cuCtxSetCurrent(void* context) { return current = context == &memory, OK; }
int cuCtxGetCurrent(void** context) { return *context = current ? &memory : nullptr, OK; }
int cuCtxGetDevice(int* device) { return *device = 0, current ? OK : NO_CONTEXT; }
int cuCtxGetStreamPriorityRange(int* least, int* greatest) { return *least = *greatest = 0, OK; }
int cuMemGetInfo_v2(std::size_t* free, std::size_t* total) { return *free = *total = 1 << 30, gone ? failing : OK; }
int cuMemAlloc_v2(std::uintptr_t* out, std::size_t bytes) { return allocate(out, bytes); }
int cuMemHostAlloc(std::uintptr_t* out, std::size_t bytes, unsigned) { return allocate(out, bytes); }
int cuMemFree_v2(std::uintptr_t start) { return release(start); }
int cuMemFreeHost(void* start) { return release(reinterpret_cast<std::uintptr_t>(start)); }
int cuPointerGetAttribute(void* value, int asked, std::uintptr_t) {
  return *static_cast<int*>(value) = asked == 2 ? 2 : 0, OK;
}
int cuPointerGetAttributes(unsigned count, const int* asked, void** values, std::uintptr_t) {
  for (unsigned i = 0; i < count; ++i) *static_cast<int*>(values[i]) = asked[i] == 2 ? 2 : 0;  // the kind: a device's
  return OK;
}
int cuStreamCreateWithPriority(void** queue, unsigned flags, int) {
  return flags == 1 ? (*queue = new Queue, ++live, OK) : INVALID_VALUE;  // none with hidden order
}
int cuStreamGetCtx(void*, void** context) { return *context = &memory, OK; }
int cuStreamDestroy_v2(void* queue) { return delete static_cast<Queue*>(queue), --live, OK; }
int cuStreamSynchronize(void* queue) { return failing ? failing : static_cast<Queue*>(queue)->captured ? CAPTURING : OK; }
int cuStreamWaitEvent(void*, void*, unsigned) { return OK; }
int cuEventCreate(void** event, unsigned) { return *event = new int, ++live, OK; }
int cuEventDestroy_v2(void* event) { return delete static_cast<int*>(event), --live, OK; }
int cuEventRecord(void*, void*) { return OK; }
int cuEventSynchronize(void*) { return OK; }
int cuEventQuery(void*) { return failing; }

int cuMemcpyAsync(std::uintptr_t out, std::uintptr_t source, std::size_t bytes, void* queue) {
  if (!bytes) return INVALID_VALUE;  // what a driver makes of an empty copy depends on the addresses: none shall be asked for
  if (!fits(out, bytes) || !fits(source, bytes)) return INVALID_VALUE;
  return enqueue(static_cast<Queue*>(queue), [=] {
    std::memmove(reinterpret_cast<void*>(out), reinterpret_cast<void*>(source), bytes);
    copied += bytes;
    return OK;
  });
}

int cuLibraryLoadData(void** library, const void* image, void*, void*, unsigned, void*, void*, unsigned) {
  return *library = &memory, !std::strncmp(static_cast<const char*>(image), "too new", 7) ? TOO_NEW : OK;
}
int cuLibraryUnload(void*) { return OK; }
int cuLibraryGetKernel(void** kernel, void*, const char* name) {
  for (const auto& known : KERNELS)
    if (!std::strcmp(known.name, name)) return *kernel = const_cast<ArgumentSizes*>(&known), OK;
  return NOT_FOUND;
}

int cuLaunchKernelEx(const Launch* how, void* function, void** arguments, void**) {
  const auto& kernel = *static_cast<ArgumentSizes*>(function);
  const auto [gx, gy, gz, bx, by, bz, shared, queue] = *how;
  if (!gx || !gy || !gz || !bx || !by || !bz || bx * by * bz > 1024 || gy > 65535 || gz > 65535) return INVALID_VALUE;
  auto values = std::make_shared<std::vector<std::uint64_t>>(kernel.count);  // copied at the call, as the driver does
  for (int i = 0; i < kernel.count; ++i) std::memcpy(&(*values)[i], arguments[i], kernel.kinds[i] == 'p' ? 8 : 4);
  const std::vector<unsigned> grid = {gx, gy, gz}, block = {bx, by, bz};
  return enqueue(queue, [=] {
    std::vector<void*> addresses;
    for (auto& value : *values) addresses.push_back(&value);
    return launch(kernel.name, grid.data(), block.data(), addresses.data(), backwards);
  });
}
int cuLaunchKernel(void* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, void* queue, void** arguments, void** extra) {
  const Launch how = {gx, gy, gz, bx, by, bz, shared, static_cast<Queue*>(queue)};
  return cuLaunchKernelEx(&how, function, arguments, extra);
}

int cuStreamBeginCapture_v2(void* queue, int) { return static_cast<Queue*>(queue)->captured = new Graph, OK; }
int cuStreamEndCapture(void* queue, void** graph) {
  return *graph = std::exchange(static_cast<Queue*>(queue)->captured, nullptr), OK;
}
int cuGraphInstantiateWithFlags(void** runnable, void* graph, unsigned long long) {
  return *runnable = new Graph(*static_cast<Graph*>(graph)), ++live, OK;
}
int cuGraphDestroy(void* graph) { return delete static_cast<Graph*>(graph), OK; }
int cuGraphExecDestroy(void* graph) { return delete static_cast<Graph*>(graph), --live, OK; }
int cuGraphLaunch(void* graph, void* queue) {
  for (auto& work : *static_cast<Graph*>(graph))
    if (int status = enqueue(static_cast<Queue*>(queue), work)) return status;
  return OK;
}

// For tests.
void host_driver_order(int run_backwards) { backwards = run_backwards; }
void host_driver_present(int is_present) { present = is_present; }
void host_driver_fail(int status, int for_good) { failing = status, gone = for_good; }
int host_driver_allocations() { return allocations; }
int host_driver_blocks() { return static_cast<int>(memory.size()); }
int host_driver_copied() { return static_cast<int>(copied); }
int host_driver_live() { return live; }
}
