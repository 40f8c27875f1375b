#pragma once
// Loads from and stores to a VMCB in simulated memory, by field.
#include <cstring>

#include "cpu/svm/spec/vmcb.h"
#include "sim/ram.h"

namespace hvsim::cpu::svm {

class Vmcb {
  public:
    /// `address`: 4 KiB aligned, inside RAM.
    Vmcb(sim::Ram& ram, std::uint64_t address)
        : ram_(&ram), address_(address), bytes_(ram.data() + address) {}

    std::uint64_t address() const noexcept { return address_; }
    sim::Ram& ram() const noexcept { return *ram_; }

    template <typename T>
    T get(FieldAt<T> field) const noexcept {
        T value{};
        std::memcpy(&value, bytes_ + field.offset, sizeof value);
        return value;
    }
    template <typename T>
    void set(FieldAt<T> field, T value) const {
        ram_->about_to_write(address_, kVmcbSize);
        std::memcpy(bytes_ + field.offset, &value, sizeof value);
    }

  private:
    sim::Ram* ram_;
    std::uint64_t address_;
    std::uint8_t* bytes_;
};

}  // namespace hvsim::cpu::svm
