#pragma once
// Segment and gate descriptors (SDM 3A 3.4.5, 6.11, 6.14.1).
#include <cstdint>

#include "cpu/engine/engine.h"
#include "sim/bits.h"

namespace hvsim::cpu {

/// Access-rights bits as a VMCS keeps them (SDM 3C table 25-2).
namespace ar {
using TYPE = sim::Bits<3, 0>;
using S = sim::Bits<4>;
using DPL = sim::Bits<6, 5>;
using P = sim::Bits<7>;
using AVL = sim::Bits<12>;
using L = sim::Bits<13>;
using DB = sim::Bits<14>;
using G = sim::Bits<15>;
using UNUSABLE = sim::Bits<16>;
}  // namespace ar

/// An eight-byte segment descriptor.
class Descriptor {
  public:
    explicit constexpr Descriptor(std::uint64_t raw) : raw_(raw) {}
    constexpr std::uint32_t access_rights() const noexcept {
        return static_cast<std::uint32_t>(raw_ >> 40 & 0xf0ff);
    }
    constexpr unsigned type() const noexcept { return raw_ >> 40 & 0xf; }
    constexpr bool is_system() const noexcept { return !sim::bit(raw_, 44); }
    constexpr bool is_code() const noexcept { return !is_system() && (type() & 8) != 0; }
    constexpr bool is_conforming() const noexcept { return (type() & 4) != 0; }
    /// Code: readable; data: writable.
    constexpr bool read_write() const noexcept { return (type() & 2) != 0; }
    constexpr unsigned dpl() const noexcept { return raw_ >> 45 & 3; }
    constexpr bool present() const noexcept { return sim::bit(raw_, 47); }
    constexpr bool long64() const noexcept { return sim::bit(raw_, 53); }
    constexpr bool big() const noexcept { return sim::bit(raw_, 54); }
    constexpr std::uint32_t base() const noexcept {
        return static_cast<std::uint32_t>((raw_ >> 16 & 0xffffff) | (raw_ >> 32 & 0xff000000));
    }
    /// In bytes, granularity applied.
    constexpr std::uint32_t limit() const noexcept {
        const auto limit = static_cast<std::uint32_t>((raw_ & 0xffff) | (raw_ >> 32 & 0xf0000));
        return sim::bit(raw_, 55) ? limit << 12 | 0xfff : limit;
    }
    constexpr engine::Segment load(std::uint16_t selector) const noexcept {
        return {selector, limit(), base(), access_rights() | 1};
    }

  private:
    std::uint64_t raw_;
};

/// A gate of the IDT; `high` is the second half of a 64-bit gate.
class Gate {
  public:
    constexpr Gate(std::uint64_t low, std::uint64_t high) : low_(low), high_(high) {}
    constexpr unsigned type() const noexcept { return low_ >> 40 & 0x1f; }
    constexpr unsigned dpl() const noexcept { return low_ >> 45 & 3; }
    constexpr bool present() const noexcept { return sim::bit(low_, 47); }
    constexpr std::uint16_t selector() const noexcept {
        return static_cast<std::uint16_t>(low_ >> 16);
    }
    constexpr unsigned ist() const noexcept { return low_ >> 32 & 7; }
    constexpr std::uint64_t offset16() const noexcept { return low_ & 0xffff; }
    constexpr std::uint64_t offset32() const noexcept {
        return (low_ & 0xffff) | (low_ >> 32 & 0xffff0000);
    }
    constexpr std::uint64_t offset64() const noexcept { return offset32() | high_ << 32; }

    static constexpr unsigned kTask = 0x05, kInterrupt16 = 0x06, kTrap16 = 0x07,
                              kInterrupt32 = 0x0e, kTrap32 = 0x0f;

  private:
    std::uint64_t low_, high_;
};

/// RFLAGS bits (SDM 1 3.4.3).
namespace rflags {
inline constexpr std::uint64_t kCF = 1u << 0, kReserved1 = 1u << 1, kTF = 1u << 8, kIF = 1u << 9,
                               kIOPL = 3u << 12, kNT = 1u << 14, kRF = 1u << 16, kVM = 1u << 17,
                               kAC = 1u << 18;
}
/// Control register bits (SDM 3A 2.5) and EFER (2.2.1).
namespace cr0 {
inline constexpr std::uint64_t kPE = 1u << 0, kMP = 1u << 1, kEM = 1u << 2, kTS = 1u << 3,
                               kET = 1u << 4, kNE = 1u << 5, kWP = 1u << 16, kAM = 1u << 18,
                               kNW = 1u << 29, kCD = 1u << 30, kPG = 1u << 31;
}
namespace cr4 {
inline constexpr std::uint64_t kVME = 1u << 0, kPVI = 1u << 1, kTSD = 1u << 2, kDE = 1u << 3,
                               kPSE = 1u << 4, kPAE = 1u << 5, kMCE = 1u << 6, kPGE = 1u << 7,
                               kPCE = 1u << 8, kOSFXSR = 1u << 9, kOSXMMEXCPT = 1u << 10,
                               kUMIP = 1u << 11, kLA57 = 1u << 12, kVMXE = 1u << 13,
                               kFSGSBASE = 1u << 16, kPCIDE = 1u << 17, kOSXSAVE = 1u << 18,
                               kSMEP = 1u << 20, kSMAP = 1u << 21, kPKE = 1u << 22;
}
namespace efer {
inline constexpr std::uint64_t kSCE = 1u << 0, kLME = 1u << 8, kLMA = 1u << 10, kNXE = 1u << 11,
                               kSVME = 1u << 12;
}

}  // namespace hvsim::cpu
