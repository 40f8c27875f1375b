#pragma once
// Payloads of intercept messages (TLFS 11.10; HV_X64_INTERCEPT_MESSAGE_HEADER and its users). All
// fields are naturally aligned.
#include <array>
#include <cstddef>
#include <cstdint>

#include "cpu/engine/engine.h"
#include "sim/bits.h"

namespace hvsim::hv {

/// HV_X64_SEGMENT_REGISTER.
struct WireSegment {
    std::uint64_t base = 0;
    std::uint32_t limit = 0;
    std::uint16_t selector = 0;
    std::uint16_t attributes = 0;  ///< access rights as in the VMCS, bits [15:0]

    static WireSegment from(const cpu::engine::Segment& segment);
    cpu::engine::Segment to_segment() const;
    bool operator==(const WireSegment&) const = default;
};
static_assert(sizeof(WireSegment) == 16);

/// HV_X64_TABLE_REGISTER.
struct WireTable {
    std::array<std::uint16_t, 3> padding{};
    std::uint16_t limit = 0;
    std::uint64_t base = 0;
};
static_assert(sizeof(WireTable) == 16 && offsetof(WireTable, limit) == 6);

/// HV_INTERCEPT_ACCESS_TYPE.
enum class InterceptAccess : std::uint8_t { read = 0, write = 1, execute = 2 };

/// HV_X64_VP_EXECUTION_STATE.
struct ExecutionState {
    using Cpl = sim::Bits<1, 0>;
    static constexpr std::uint16_t kCr0Pe = 1u << 2;
    static constexpr std::uint16_t kCr0Am = 1u << 3;
    static constexpr std::uint16_t kEferLma = 1u << 4;
    static constexpr std::uint16_t kDebugActive = 1u << 5;
    static constexpr std::uint16_t kInterruptionPending = 1u << 6;
    static constexpr std::uint16_t kInterruptShadow = 1u << 12;
};

struct InterceptHeader {
    std::uint32_t vp_index = 0;
    std::uint8_t instruction_length_cr8 = 0;  ///< length [3:0], CR8 [7:4]
    std::uint8_t access = 0;                  ///< InterceptAccess
    std::uint16_t execution_state = 0;
    WireSegment cs;
    std::uint64_t rip = 0;
    std::uint64_t rflags = 0;
};
static_assert(sizeof(InterceptHeader) == 40 && offsetof(InterceptHeader, rip) == 24);

/// Unmapped GPA and GPA intercept.
struct MemoryIntercept {
    InterceptHeader header;
    std::uint32_t cache_type = 6;  ///< 0 UC, 1 WC, 4 WT, 5 WP, 6 WB
    std::uint8_t instruction_byte_count = 0;
    std::uint8_t access_info = 0;  ///< bit 0 GVA valid, bit 1 GVA to GPA valid
    std::uint8_t tpr = 0;
    std::uint8_t reserved = 0;
    std::uint64_t gva = 0;
    std::uint64_t gpa = 0;
    std::array<std::uint8_t, 16> instruction_bytes{};
};
static_assert(sizeof(MemoryIntercept) == 80 && offsetof(MemoryIntercept, gpa) == 56);
inline constexpr std::uint8_t kMemoryGvaValid = 1, kMemoryGvaGpaValid = 2;

struct IoPortIntercept {
    InterceptHeader header;
    std::uint16_t port = 0;
    std::uint8_t access_info = 0;  ///< size [2:0], string 3, rep 4
    std::uint8_t instruction_byte_count = 0;
    std::uint32_t reserved = 0;
    std::uint64_t rax = 0;
    std::array<std::uint8_t, 16> instruction_bytes{};
    WireSegment ds;
    WireSegment es;
    std::uint64_t rcx = 0;
    std::uint64_t rsi = 0;
    std::uint64_t rdi = 0;
};
static_assert(sizeof(IoPortIntercept) == 128 && offsetof(IoPortIntercept, ds) == 72 &&
              offsetof(IoPortIntercept, rdi) == 120);
inline constexpr std::uint8_t kIoString = 1u << 3, kIoRep = 1u << 4;

struct MsrIntercept {
    InterceptHeader header;
    std::uint32_t msr = 0;
    std::uint32_t reserved = 0;
    std::uint64_t rdx = 0;
    std::uint64_t rax = 0;
};
static_assert(sizeof(MsrIntercept) == 64);

struct CpuidIntercept {
    InterceptHeader header;
    std::uint64_t rax = 0, rcx = 0, rdx = 0, rbx = 0;
    std::uint64_t default_rax = 0, default_rcx = 0, default_rdx = 0, default_rbx = 0;
};
static_assert(sizeof(CpuidIntercept) == 104 && offsetof(CpuidIntercept, default_rax) == 72);

struct ExceptionIntercept {
    InterceptHeader header;
    std::uint16_t vector = 0;
    std::uint8_t info = 0;  ///< bit 0 error code valid, bit 1 software exception
    std::uint8_t instruction_byte_count = 0;
    std::uint32_t error_code = 0;
    std::uint64_t parameter = 0;  ///< #PF: CR2
    std::uint64_t reserved = 0;
    std::array<std::uint8_t, 16> instruction_bytes{};
    WireSegment ds;
    WireSegment ss;
    std::array<std::uint64_t, 16> gpr{};  ///< RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8-R15
};
static_assert(sizeof(ExceptionIntercept) <= 256 && offsetof(ExceptionIntercept, ds) == 80);

struct ApicEoiMessage {
    std::uint32_t vp_index = 0;
    std::uint32_t vector = 0;
};
static_assert(sizeof(ApicEoiMessage) == 8);

/// Triple fault and other ends of a processor that only the parent can answer.
struct UnrecoverableExceptionIntercept {
    InterceptHeader header;
};
static_assert(sizeof(UnrecoverableExceptionIntercept) == 40);

/// HV_INTERCEPT_TYPE, of HvCallInstallIntercept.
enum class InterceptType : std::uint32_t {
    io_port = 0,
    msr = 1,
    cpuid = 2,
    exception = 3,
    hypercall = 8,
    unknown_synic_connection = 0xd,
    apic_eoi = 0xe,
    retarget_unknown_device = 0xf,
    io_port_range = 0x11,
};
inline constexpr std::uint32_t kInterceptRead = 1, kInterceptWrite = 2, kInterceptExecute = 4;

}  // namespace hvsim::hv
