#pragma once
// The "edu" device (PCI 1234:11e8, QEMU docs/specs/edu.rst): a device to learn drivers on.
// Identity, liveness check, factorials, interrupts by INTx or MSI, and a DMA engine with a buffer
// of its own.
#include <array>
#include <cstdint>

#include "devices/dma_port.h"
#include "devices/interrupt_line.h"
#include "devices/pci/function.h"
#include "sim/clocked.h"

namespace hvsim::devices::pci {

struct EduConfig {
    sim::Duration factorial_time = 10 * sim::kMicrosecond;
    sim::Duration dma_time = 10 * sim::kMicrosecond;  ///< plus the bus's own
    unsigned address_bits = 28;                       ///< that its DMA can reach
};

// DEVIATION: computations and DMA take the configured times; the specification names none.
class Edu final : public Function, public RegisterDevice, public sim::Clocked {
  public:
    static constexpr std::uint32_t kMemorySize = 1 << 20;
    static constexpr std::size_t kBufferSize = 4096;

    /// `dma` carries its requests and MSIs, `interrupt` is its INTA# line; neither is owned.
    Edu(const EduConfig& config, DmaPort& dma, InterruptLine& interrupt);

    RegisterDevice* memory() override { return this; }
    /// Offsets in BAR 0. Registers below 0x80 take four bytes, those from there on four or eight;
    /// other accesses read as all ones and change nothing.
    std::uint64_t read_register(std::uint64_t offset, unsigned size, sim::Time& now) override;
    void write_register(std::uint64_t offset, unsigned size, std::uint64_t value,
                        sim::Time now) override;
    unsigned widest_access() const noexcept override { return 8; }

    sim::Time next_deadline() const noexcept override;
    void advance_to(sim::Time now) override;

  protected:
    void config_written(sim::Time now) override { update_line(now); }

  private:
    struct Dma {
        std::uint64_t source = 0, destination = 0, count = 0, command = 0;
        std::uint64_t& at(std::uint64_t offset);
    };

    void write_small(std::uint64_t offset, std::uint32_t value, sim::Time now);
    void write_dma(std::uint64_t offset, unsigned size, std::uint64_t value, sim::Time now);
    void finish_factorial(sim::Time now);
    void finish_dma(sim::Time now);
    bool in_buffer(std::uint64_t address, std::uint64_t count) const;
    void raise(std::uint32_t bits, sim::Time now);
    void update_line(sim::Time now);
    bool msi_enabled() const;

    EduConfig config_;
    DmaPort& dma_port_;
    InterruptLine& interrupt_;
    std::uint32_t liveness_ = 0, factorial_ = 0, status_ = 0, interrupt_status_ = 0;
    Dma dma_;
    std::array<std::uint8_t, kBufferSize> buffer_{};
    sim::Time factorial_end_ = sim::kNever, dma_end_ = sim::kNever;
    bool line_ = false;
};

}  // namespace hvsim::devices::pci
