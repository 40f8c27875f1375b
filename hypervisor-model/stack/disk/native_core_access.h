#pragma once
#include "cpu/native_core.h"
#include "hypervisor-model/stack/disk/core_access.h"

namespace hvsim::hv::stack {

/// Root software's accesses through its virtual processor: second stage, bus and time are real.
class NativeCoreAccess final : public CoreAccess {
  public:
    explicit NativeCoreAccess(cpu::NativeCore& core) : core_(&core) {}
    /// Another virtual processor of the root goes on with the driver's work.
    void move_to(cpu::NativeCore& core) noexcept { core_ = &core; }

    bool read_memory(std::uint64_t gpa, std::span<std::uint8_t> out) override {
        return core_->read_memory(gpa, out);
    }
    bool write_memory(std::uint64_t gpa, std::span<const std::uint8_t> in) override {
        return core_->write_memory(gpa, in);
    }
    std::uint64_t read_device(std::uint64_t gpa, unsigned size) override {
        return core_->read_device(gpa, size);
    }
    void write_device(std::uint64_t gpa, unsigned size, std::uint64_t value) override {
        core_->write_device(gpa, size, value);
    }
    void charge(sim::Duration cost) override { core_->charge(cost); }
    sim::Time now() const override { return core_->now(); }

  private:
    cpu::NativeCore* core_;
};

}  // namespace hvsim::hv::stack
