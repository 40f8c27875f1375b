#pragma once
// What the rest of the machine knows of an IOMMU, whichever vendor's: DMA translation, interrupt
// remapping and a page of registers.
#include <cstdint>
#include <optional>

#include "apic/interrupt_message.h"
#include "sim/time.h"

namespace hvsim::iommu {

/// PCI requester id: bus in bits 15:8, device 7:3, function 2:0.
using SourceId = std::uint16_t;

/// PCI Express address type (AT field) of a request.
enum class AddressType : std::uint8_t { untranslated = 0, translation_request = 1, translated = 2 };

struct DmaRequest {
    SourceId source = 0;
    std::uint64_t address = 0;
    std::uint64_t size = 1;  ///< bytes; 0 counts as 1
    bool is_write = false;
    AddressType type = AddressType::untranslated;
};

/// What a translation did to the unit's caches and to memory: the basis of its cost.
struct RemapWork {
    std::uint32_t memory_references = 0;  ///< table entries read
    bool cache_hit = false;               ///< IOTLB, or interrupt entry cache
    bool context_hit = false;             ///< context cache (DMA only)
};

struct DmaResult {
    bool allowed = false;
    std::uint8_t fault_reason = 0;  ///< the vendor's code; 0 when allowed
    std::uint64_t address = 0;      ///< system-physical
    std::uint64_t length = 0;       ///< bytes from `address` on that this translation holds for,
                                    ///< at most the size asked for
    RemapWork work;
};

struct InterruptResult {
    std::optional<apic::InterruptMessage> message;  ///< nullopt: blocked
    std::uint8_t fault_reason = 0;                  ///< the vendor's code
    RemapWork work;
};

/// DMA writes to [kInterruptRangeFirst, kInterruptRangeLast] are interrupt requests.
inline constexpr std::uint64_t kInterruptRangeFirst = 0xfee0'0000;
inline constexpr std::uint64_t kInterruptRangeLast = 0xfeef'ffff;
constexpr bool is_interrupt_address(std::uint64_t address) noexcept {
    return address >= kInterruptRangeFirst && address <= kInterruptRangeLast;
}

/// Devices and I/O APICs hand their MSIs to it as to any apic::MsiSink; what passes goes on to the
/// interrupt fabric.
class DmaRemapper : public apic::MsiSink {
  public:
    /// Translates the first page's part of a request. A fault is logged and nothing else happens.
    virtual DmaResult translate(const DmaRequest& request, sim::Time now) = 0;
    /// Decides what becomes of a write to the interrupt range. A fault is logged.
    virtual InterruptResult remap_interrupt(SourceId source, apic::MsiMessage request,
                                            sim::Time now) = 0;
    /// Registers: naturally aligned accesses of 4 and 8 bytes. Others read zero and write nothing.
    virtual std::uint64_t read_register(std::uint64_t offset, unsigned size) const = 0;
    /// Returns how many invalidations (descriptors or commands) the write made the unit do.
    virtual std::uint64_t write_register(std::uint64_t offset, unsigned size, std::uint64_t value,
                                         sim::Time now) = 0;
};

}  // namespace hvsim::iommu
