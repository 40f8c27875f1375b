#pragma once
// The MSI-X table (PCI Local Bus 3.0, 6.8.2): an interrupt is a 32-bit memory write of the entry's
// data to its address.
#include <cstdint>
#include <vector>

#include "devices/dma_port.h"

namespace hvsim::devices::nvme {

class MsixTable {
  public:
    static constexpr std::uint64_t kEntrySize = 16;

    explicit MsixTable(unsigned vectors) : entries_(vectors) {}

    unsigned vectors() const noexcept { return static_cast<unsigned>(entries_.size()); }
    /// Aligned dword of the table at byte `offset`; zero behind the last entry.
    std::uint32_t read(std::uint64_t offset) const;
    /// Unmasking a vector with a pending interrupt sends it.
    void write(std::uint64_t offset, std::uint32_t value, DmaPort& port, sim::Time now);
    /// Aligned dword of the pending bits.
    std::uint32_t read_pending(std::uint64_t offset) const;

    /// Sends the vector's message, or remembers it while the vector is masked.
    void raise(unsigned vector, DmaPort& port, sim::Time now);
    void clear_pending();

    std::uint64_t sent() const noexcept { return sent_; }
    std::uint64_t refused() const noexcept { return refused_; }

  private:
    struct Entry {
        std::uint32_t address_low = 0;
        std::uint32_t address_high = 0;
        std::uint32_t data = 0;
        bool masked = true;  // the state after reset
        bool pending = false;
    };
    void send(Entry& entry, DmaPort& port, sim::Time now);

    std::vector<Entry> entries_;
    std::uint64_t sent_ = 0;
    std::uint64_t refused_ = 0;
};

}  // namespace hvsim::devices::nvme
