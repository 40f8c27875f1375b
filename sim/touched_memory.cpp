#include "sim/touched_memory.h"

#include <fcntl.h>
#include <unistd.h>

namespace hvsim::sim {
namespace {

constexpr std::size_t kEntries = 8192;  // about 32 MiB of memory
// Linux, Documentation/admin-guide/mm/pagemap.rst: in memory, or swapped out.
constexpr std::uint64_t kPresent = std::uint64_t{1} << 63, kSwapped = std::uint64_t{1} << 62;

}  // namespace

TouchedMemory::TouchedMemory(const Ram& ram)
    : data_(ram.data()), pagemap_(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)) {}

TouchedMemory::~TouchedMemory() {
    if (pagemap_ >= 0) ::close(pagemap_);
}

bool TouchedMemory::fetch(std::uint64_t page) {
    entries_.resize(kEntries);
    const std::uint64_t host = reinterpret_cast<std::uintptr_t>(data_) / kPageSize + page;
    const ssize_t bytes = ::pread(pagemap_, entries_.data(), kEntries * sizeof(std::uint64_t),
                                  static_cast<off_t>(host * sizeof(std::uint64_t)));
    entries_.resize(bytes > 0 ? static_cast<std::size_t>(bytes) / sizeof(std::uint64_t) : 0);
    first_ = page;
    return !entries_.empty();
}

std::uint64_t TouchedMemory::next(std::uint64_t address, std::uint64_t end) {
    if (pagemap_ < 0) return address;
    for (std::uint64_t page = page_of(address); page < page_of(end); ++page) {
        const bool known = page >= first_ && page - first_ < entries_.size();
        if (!known && !fetch(page)) return page << kPageShift;
        if ((entries_[page - first_] & (kPresent | kSwapped)) != 0) return page << kPageShift;
    }
    return end;
}

}  // namespace hvsim::sim
