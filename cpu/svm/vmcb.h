#pragma once
// Loads from and stores to a VMCB in simulated memory, by field.
#include "cpu/svm/spec/vmcb.h"
#include "sim/ram.h"

namespace hvsim::cpu::svm {

class Vmcb {
  public:
    /// `address`: 4 KiB aligned, inside RAM.
    Vmcb(sim::Ram& ram, std::uint64_t address) : ram_(&ram), address_(address) {}

    std::uint64_t address() const noexcept { return address_; }
    sim::Ram& ram() const noexcept { return *ram_; }

    template <typename T>
    T get(FieldAt<T> field) const noexcept {
        T value{};
        ram_->read(address_ + field.offset, value);
        return value;
    }
    template <typename T>
    void set(FieldAt<T> field, T value) const {
        ram_->write(address_ + field.offset, value);
    }

  private:
    sim::Ram* ram_;
    std::uint64_t address_;
};

}  // namespace hvsim::cpu::svm
