#pragma once
// A VT-d unit over 64 MiB with tables as a driver would build them.
#include <cstdint>
#include <vector>

#include "iommu/vtd/vtd_unit.h"
#include "sim/ram.h"
#include "sim/recorder.h"

namespace hvsim::iommu::vtd::test {

struct Fabric final : apic::InterruptFabric {
    struct Sent {
        apic::InterruptMessage message;
        apic::InterruptSource source;
        sim::Time time;
    };
    std::vector<Sent> sent;
    void send(const apic::InterruptMessage& message, apic::InterruptSource source,
              sim::Time now) override {
        sent.push_back({message, source, now});
    }
};

inline constexpr std::uint64_t kRead = 1, kWrite = 2, kPS = 0x80;
inline constexpr std::uint64_t kTE = 1u << 31, kSRTP = 1u << 30, kQIE = 1u << 26, kIRE = 1u << 25,
                               kSIRTP = 1u << 24, kCFI = 1u << 23;

/// Device 01:02.3 in domain 7 with a 4-level table that maps kIova to kFrame, read and write.
struct Fixture {
    static constexpr SourceId kSource = 0x0113;
    static constexpr std::uint16_t kDomain = 7;
    static constexpr std::uint64_t kIova = 0x0000'1234'5678'9000;
    static constexpr std::uint64_t kFrame = 0x0200'0000;
    static constexpr std::uint64_t kRoot = 0x10'0000, kContexts = 0x10'1000, kTop = 0x10'2000,
                                   kIrt = 0x20'0000, kQueue = 0x30'0000, kStatus = 0x31'0000;

    sim::Ram ram{64 << 20};
    Fabric fabric;
    sim::Recorder recorder;
    VtdUnit unit;
    std::uint64_t next = 0x10'3000;
    std::uint64_t tail = 0;

    explicit Fixture(const VtdConfig& config = {}) : unit(config, ram, fabric, &recorder) {
        put(kRoot + 1 * 16, kContexts | 1);
        set_context(kTop | 1, 2 | kDomain << 8);
        put(slot(kIova, 1), kFrame | kRead | kWrite);
        write64(0x20, kRoot);
        command(kSRTP);
        command(kTE);
    }

    void put(std::uint64_t address, std::uint64_t value) { ram.write(address, value); }
    std::uint64_t get(std::uint64_t address) const {
        std::uint64_t value = 0;
        ram.read(address, value);
        return value;
    }
    void set_context(std::uint64_t low, std::uint64_t high) {
        put(kContexts + 0x13 * 16, low);
        put(kContexts + 0x13 * 16 + 8, high);
    }
    /// Address of the entry of `iova` at `level`, making tables above it.
    std::uint64_t slot(std::uint64_t iova, unsigned level) {
        std::uint64_t table = kTop;
        for (unsigned at = 4; at > level; --at) {
            const std::uint64_t entry = table + (iova >> (12 + 9 * (at - 1)) & 511) * 8;
            if (get(entry) == 0) {
                put(entry, next | kRead | kWrite);
                next += 4096;
            }
            table = get(entry) & 0x000f'ffff'ffff'f000;
        }
        return table + (iova >> (12 + 9 * (level - 1)) & 511) * 8;
    }

    std::uint64_t read32(std::uint64_t offset) const { return unit.read_register(offset, 4); }
    std::uint64_t read64(std::uint64_t offset) const { return unit.read_register(offset, 8); }
    void write32(std::uint64_t offset, std::uint64_t value) {
        unit.write_register(offset, 4, value, 1000);
    }
    void write64(std::uint64_t offset, std::uint64_t value) {
        unit.write_register(offset, 8, value, 1000);
    }
    /// One GCMD write as software makes it: status with the field changed.
    void command(std::uint64_t set, std::uint64_t clear = 0) {
        const std::uint64_t kept = read32(0x1c) & (kTE | kQIE | kIRE | kCFI);
        write32(0x18, (kept | set) & ~clear);
    }

    DmaResult dma(std::uint64_t address = kIova, bool is_write = false, SourceId source = kSource,
                  AddressType type = AddressType::untranslated) {
        return unit.translate({source, address, 4, is_write, type}, 2000);
    }
    /// Reason of the only fault recorded so far, read from FRCD 0; 0 if there is none.
    std::uint64_t recorded_reason() const {
        const std::uint64_t high = read64(0x208);
        return (high >> 63) != 0 ? high >> 32 & 0xff : 0;
    }

    void enable_queue() {
        write64(0x90, kQueue);
        write64(0x88, 0);
        command(kQIE);
    }
    void submit(std::uint64_t low, std::uint64_t high = 0) {
        put(kQueue + tail, low);
        put(kQueue + tail + 8, high);
        tail = (tail + 16) % 4096;
        write64(0x88, tail);
    }

    void enable_interrupts(bool extended = true, unsigned size = 7) {
        write64(0xb8, kIrt | (extended ? 1u << 11 : 0) | size);
        command(kSIRTP);
        command(kIRE);
    }
    void set_irte(std::uint32_t index, std::uint64_t low, std::uint64_t high = 0) {
        put(kIrt + index * 16, low);
        put(kIrt + index * 16 + 8, high);
    }
    static apic::MsiMessage request(std::uint32_t handle, bool subhandle_valid = false,
                                    std::uint32_t data = 0) {
        return {0xfee0'0010 | (handle & 0x7fff) << 5 | (handle >> 15 & 1) << 2 |
                    (subhandle_valid ? 8u : 0u),
                data};
    }
    InterruptResult interrupt(apic::MsiMessage message, SourceId source = kSource) {
        return unit.remap_interrupt(source, message, 3000);
    }
};

}  // namespace hvsim::iommu::vtd::test
