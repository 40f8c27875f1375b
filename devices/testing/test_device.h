#pragma once
// What test kernels for hypervisors expect of a board: a data latch to try string I/O on, memory
// that is a device, and ports that pull interrupt lines.
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "devices/interrupt_line.h"
#include "devices/register_device.h"

namespace hvsim::devices {

/// Four latched bytes at offsets 0-3 of any width; an access that runs past them wraps to nothing.
class TestLatch final : public RegisterDevice {
  public:
    static constexpr std::uint64_t kPorts = 4;
    explicit TestLatch(unsigned widest) : widest_(widest) {}

    std::uint64_t read_register(std::uint64_t offset, unsigned size, sim::Time& now) override;
    void write_register(std::uint64_t offset, unsigned size, std::uint64_t value,
                        sim::Time now) override;
    unsigned widest_access() const noexcept override { return widest_; }

  private:
    unsigned widest_;
    std::array<std::uint8_t, kPorts> bytes_{};
};

/// A port that names a page which the next access shall fault on anew in a hypervisor's second
/// stage. Physical memory has no such stage: nothing happens.
class TestFlushPort final : public RegisterDevice {
  public:
    static constexpr std::uint64_t kPorts = 4;
    std::uint64_t read_register(std::uint64_t, unsigned, sim::Time&) override { return 0; }
    void write_register(std::uint64_t, unsigned, std::uint64_t, sim::Time) override {}
    unsigned widest_access() const noexcept override { return 4; }
};

/// One port for each interrupt line: writing it sets the line's level (zero or not).
class TestInterruptPorts final : public RegisterDevice {
  public:
    /// The lines are not owned.
    explicit TestInterruptPorts(std::vector<InterruptLine*> lines)
        : lines_(std::move(lines)), levels_(lines_.size()) {}

    /// The levels that were written: ones and zeros.
    std::uint64_t read_register(std::uint64_t offset, unsigned size, sim::Time& now) override;
    void write_register(std::uint64_t offset, unsigned size, std::uint64_t value,
                        sim::Time now) override;
    unsigned widest_access() const noexcept override { return 1; }
    std::uint64_t ports() const noexcept { return lines_.size(); }

  private:
    std::vector<InterruptLine*> lines_;
    std::vector<std::uint8_t> levels_;
};

/// 64 KiB that behave as memory but are a device: every access leaves the processor.
class TestMemory final : public RegisterDevice {
  public:
    static constexpr std::uint64_t kSize = 0x10000;

    std::uint64_t read_register(std::uint64_t offset, unsigned size, sim::Time& now) override;
    void write_register(std::uint64_t offset, unsigned size, std::uint64_t value,
                        sim::Time now) override;
    unsigned widest_access() const noexcept override { return 8; }

  private:
    std::vector<std::uint8_t> bytes_ = std::vector<std::uint8_t>(kSize);
};

}  // namespace hvsim::devices
