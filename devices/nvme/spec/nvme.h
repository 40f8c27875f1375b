#pragma once
// NVM Express Base Specification, revision 1.4 (June 10, 2019): registers, commands, status codes.
// Section numbers are that document's.
#include <array>
#include <cstdint>

#include "devices/spec/register_table.h"
#include "sim/bits.h"

namespace hvsim::devices::nvme::spec {

using devices::spec::Access;
using devices::spec::Fidelity;
using devices::spec::RegisterRow;

// Controller registers (3.1).
inline constexpr std::uint32_t kCap = 0x00;
inline constexpr std::uint32_t kVs = 0x08;
inline constexpr std::uint32_t kIntms = 0x0c;
inline constexpr std::uint32_t kIntmc = 0x10;
inline constexpr std::uint32_t kCc = 0x14;
inline constexpr std::uint32_t kCsts = 0x1c;
inline constexpr std::uint32_t kNssr = 0x20;
inline constexpr std::uint32_t kAqa = 0x24;
inline constexpr std::uint32_t kAsq = 0x28;
inline constexpr std::uint32_t kAcq = 0x30;
inline constexpr std::uint32_t kCmbloc = 0x38;
inline constexpr std::uint32_t kCmbsz = 0x3c;

// clang-format off
inline constexpr std::array kTable{
    RegisterRow{kCap,    8, "CAP",    Access::read_only,  Fidelity::functional, "3.1.1"},
    RegisterRow{kVs,     4, "VS",     Access::read_only,  Fidelity::functional, "3.1.2"},
    RegisterRow{kIntms,  4, "INTMS",  Access::read_write, Fidelity::stored,     "3.1.3"},
    RegisterRow{kIntmc,  4, "INTMC",  Access::read_write, Fidelity::stored,     "3.1.4"},
    RegisterRow{kCc,     4, "CC",     Access::read_write, Fidelity::functional, "3.1.5"},
    RegisterRow{kCsts,   4, "CSTS",   Access::read_only,  Fidelity::functional, "3.1.6"},
    RegisterRow{kNssr,   4, "NSSR",   Access::read_write, Fidelity::absent,     "3.1.7"},
    RegisterRow{kAqa,    4, "AQA",    Access::read_write, Fidelity::functional, "3.1.8"},
    RegisterRow{kAsq,    8, "ASQ",    Access::read_write, Fidelity::functional, "3.1.9"},
    RegisterRow{kAcq,    8, "ACQ",    Access::read_write, Fidelity::functional, "3.1.10"},
    RegisterRow{kCmbloc, 4, "CMBLOC", Access::read_only,  Fidelity::absent,     "3.1.11"},
    RegisterRow{kCmbsz,  4, "CMBSZ",  Access::read_only,  Fidelity::absent,     "3.1.12"},
};
// clang-format on
static_assert(devices::spec::in_offset_order(kTable));

/// Doorbells (3.1.25, 3.1.26), CAP.DSTRD = 0: SQ y at kDoorbells + 8y, CQ y 4 bytes further.
inline constexpr std::uint32_t kDoorbells = 0x1000;
inline constexpr std::uint32_t kDoorbellSize = 4;

// DEVIATION: a platform device without PCI configuration space. The register block has a fixed
// address; the MSI-X table and pending bits (PCI 3.0 6.8.2) lie in it at these offsets; MSI-X is
// always enabled and there is no function mask.
inline constexpr std::uint32_t kMsixTable = 0x2000;
inline constexpr std::uint32_t kMsixPending = 0x3000;
inline constexpr std::uint32_t kBlockSize = 0x4000;
inline constexpr unsigned kMostQueues = 64;    ///< I/O queue pairs that the layout has room for
inline constexpr unsigned kMostVectors = 256;  ///< MSI-X entries that the layout has room for

struct Cap {
    using MQES = sim::Bits<15, 0>;
    using CQR = sim::Bits<16>;
    using TO = sim::Bits<31, 24>;
    using CSS = sim::Bits<44, 37>;
};
inline constexpr std::uint32_t kVersion14 = 0x00010400;

struct Cc {
    using EN = sim::Bits<0>;
    using CSS = sim::Bits<6, 4>;
    using MPS = sim::Bits<10, 7>;
    using AMS = sim::Bits<13, 11>;
    using SHN = sim::Bits<15, 14>;
    using IOSQES = sim::Bits<19, 16>;
    using IOCQES = sim::Bits<23, 20>;
    static constexpr std::uint32_t kImplemented = 0x00fffff1;
};

struct Csts {
    using RDY = sim::Bits<0>;
    using CFS = sim::Bits<1>;
    using SHST = sim::Bits<3, 2>;
    static constexpr std::uint32_t kShutdownComplete = 2;
};

struct Aqa {
    using ASQS = sim::Bits<11, 0>;
    using ACQS = sim::Bits<27, 16>;
};

inline constexpr unsigned kSubmissionSizeLog2 = 6;
inline constexpr unsigned kCompletionSizeLog2 = 4;
inline constexpr std::size_t kSubmissionSize = 1u << kSubmissionSizeLog2;
inline constexpr std::size_t kCompletionSize = 1u << kCompletionSizeLog2;

/// Admin opcodes (5, figure 139).
enum class AdminOpcode : std::uint8_t {
    delete_io_sq = 0x00,
    create_io_sq = 0x01,
    get_log_page = 0x02,
    delete_io_cq = 0x04,
    create_io_cq = 0x05,
    identify = 0x06,
    abort = 0x08,
    set_features = 0x09,
    get_features = 0x0a,
    async_event_request = 0x0c,
};

/// NVM command set opcodes (6, figure 346).
enum class NvmOpcode : std::uint8_t {
    flush = 0x00,
    write = 0x01,
    read = 0x02,
    compare = 0x05,
    write_zeroes = 0x08,
    dataset_management = 0x09,
};

/// Feature identifiers (5.21, figure 271).
enum class Feature : std::uint8_t {
    arbitration = 0x01,
    power_management = 0x02,
    temperature_threshold = 0x04,
    error_recovery = 0x05,
    volatile_write_cache = 0x06,
    number_of_queues = 0x07,
    interrupt_coalescing = 0x08,
    interrupt_vector = 0x09,
    write_atomicity = 0x0a,
    async_event = 0x0b,
};

/// Log page identifiers (5.14, figure 191).
inline constexpr std::uint8_t kErrorLog = 0x01;
inline constexpr std::uint8_t kHealthLog = 0x02;
inline constexpr std::uint8_t kFirmwareLog = 0x03;

inline constexpr std::uint32_t kAllNamespaces = 0xffffffff;

/// Status Code Type and Status Code (4.6.1). Do Not Retry is set where a repetition cannot help.
struct Status {
    std::uint8_t type = 0;
    std::uint8_t code = 0;
    bool do_not_retry = false;

    constexpr bool ok() const noexcept { return type == 0 && code == 0; }
    /// Bits 15:1 of the completion's last word (figure 124), without the phase tag.
    constexpr std::uint16_t field() const noexcept {
        return static_cast<std::uint16_t>(code | type << 8 | (do_not_retry ? 1u << 14 : 0u));
    }
    friend constexpr bool operator==(const Status&, const Status&) = default;
};

// clang-format off
namespace status {
inline constexpr Status kSuccess{};
// Generic (figure 127, 128).
inline constexpr Status kInvalidOpcode          {0, 0x01, true};
inline constexpr Status kInvalidField           {0, 0x02, true};
inline constexpr Status kCommandIdConflict      {0, 0x03, true};
inline constexpr Status kDataTransferError      {0, 0x04, false};
inline constexpr Status kAbortRequested         {0, 0x07, false};
inline constexpr Status kAbortedSqDeletion      {0, 0x08, false};
inline constexpr Status kInvalidNamespace       {0, 0x0b, true};
inline constexpr Status kCommandSequenceError   {0, 0x0c, true};
inline constexpr Status kPrpOffsetInvalid       {0, 0x13, true};
inline constexpr Status kLbaOutOfRange          {0, 0x80, true};
// Command specific (figure 129).
inline constexpr Status kCompletionQueueInvalid {1, 0x00, true};
inline constexpr Status kInvalidQueueIdentifier {1, 0x01, true};
inline constexpr Status kInvalidQueueSize       {1, 0x02, true};
inline constexpr Status kAsyncLimitExceeded     {1, 0x05, true};
inline constexpr Status kInvalidInterruptVector {1, 0x08, true};
inline constexpr Status kInvalidLogPage         {1, 0x09, true};
inline constexpr Status kInvalidQueueDeletion   {1, 0x0c, true};
inline constexpr Status kFeatureNotSaveable     {1, 0x0d, true};
inline constexpr Status kFeatureNotPerNamespace {1, 0x0f, true};
// Media and data integrity (figure 131).
inline constexpr Status kCompareFailure         {2, 0x85, true};
}  // namespace status
// clang-format on

/// Asynchronous events (figure 147): type in bits 2:0 of the result, information in 15:8, log page
/// in 23:16.
inline constexpr std::uint8_t kAsyncErrorType = 0;
inline constexpr std::uint8_t kInvalidDoorbellRegister = 0x00;
inline constexpr std::uint8_t kInvalidDoorbellValue = 0x01;

/// A submission queue entry (4.2, figure 104), copied once from the host's memory.
struct Command {
    std::array<std::uint32_t, 16> dword{};

    constexpr std::uint8_t opcode() const noexcept {
        return static_cast<std::uint8_t>(sim::Bits<7, 0>::get(dword[0]));
    }
    constexpr bool fused() const noexcept { return sim::Bits<9, 8>::test(dword[0]); }
    constexpr bool uses_sgl() const noexcept { return sim::Bits<15, 14>::test(dword[0]); }
    constexpr std::uint16_t id() const noexcept {
        return static_cast<std::uint16_t>(sim::Bits<31, 16>::get(dword[0]));
    }
    constexpr std::uint32_t nsid() const noexcept { return dword[1]; }
    constexpr std::uint64_t quad(unsigned first) const noexcept {
        return dword[first] | std::uint64_t{dword[first + 1]} << 32;
    }
    constexpr std::uint64_t prp1() const noexcept { return quad(6); }
    constexpr std::uint64_t prp2() const noexcept { return quad(8); }
    // Read, Write, Compare, Write Zeroes (6.9 and others): SLBA in dwords 10 and 11, NLB from 0.
    constexpr std::uint64_t lba() const noexcept { return quad(10); }
    constexpr std::uint64_t blocks() const noexcept { return sim::Bits<15, 0>::get(dword[12]) + 1; }
    constexpr bool force_unit_access() const noexcept { return sim::Bits<30>::test(dword[12]); }
};
static_assert(sizeof(Command) == kSubmissionSize);

}  // namespace hvsim::devices::nvme::spec
