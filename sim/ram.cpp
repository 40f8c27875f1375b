#include "sim/ram.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>

#include "sim/error.h"

namespace hvsim::sim {
namespace {

std::uint8_t* reserve(std::uint64_t bytes) {
    void* address = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (address == MAP_FAILED)
        throw ConfigError(fmt::format("cannot reserve {} MiB of host memory", bytes >> 20),
                          "lower the scenario's host.ram");
    return static_cast<std::uint8_t*>(address);
}

}  // namespace

Ram::Ram(std::uint64_t size, std::uint64_t hole_base)
    : size_(size),
      low_(std::min(size, hole_base)),
      end_(size > low_ ? kHighBase + (size - low_) : low_) {
    SIM_ASSERT(size != 0 && size % kPageSize == 0 && hole_base % kPageSize == 0);
    SIM_ASSERT(size == low_ || low_ <= kHighBase);
    data_ = reserve(end_);  // the hole's part is never touched
    code_ = reserve(std::max(end_ >> kPageShift, kPageSize));
}

Ram::~Ram() {
    ::munmap(data_, end_);
    ::munmap(code_, std::max(end_ >> kPageShift, kPageSize));
}

std::vector<RamPiece> Ram::pieces() const {
    std::vector<RamPiece> list{{0, low_}};
    if (size_ > low_) list.push_back({kHighBase, size_ - low_});
    return list;
}

bool Ram::read_bytes(std::uint64_t address, std::span<std::uint8_t> out) const noexcept {
    if (!contains(address, out.size())) return false;
    if (!out.empty()) std::memcpy(out.data(), data_ + address, out.size());
    return true;
}

bool Ram::write_bytes(std::uint64_t address, std::span<const std::uint8_t> in) {
    if (!contains(address, in.size())) return false;
    if (in.empty()) return true;
    about_to_write(address, in.size());
    std::memcpy(data_ + address, in.data(), in.size());
    return true;
}

bool Ram::fill(std::uint64_t address, std::uint64_t length, std::uint8_t value) {
    if (!contains(address, length)) return false;
    if (length == 0) return true;
    about_to_write(address, length);
    std::memset(data_ + address, value, length);
    return true;
}

void Ram::notify_code_write(std::uint64_t page) {
    if (observer_ != nullptr) observer_->code_page_written(page);
}

}  // namespace hvsim::sim
