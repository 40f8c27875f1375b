#pragma once
// HV_REGISTER_NAME and HV_REGISTER_VALUE (TLFS 7.10).
#include <array>
#include <cstdint>

#include "hypervisor-model/spec/intercept_messages.h"

namespace hvsim::hv {

/// HV_REGISTER_VALUE: 16 bytes.
struct RegisterValue {
    std::uint64_t low = 0;
    std::uint64_t high = 0;

    WireSegment segment() const;
    static RegisterValue of(const WireSegment& segment);
    WireTable table() const;
    static RegisterValue of(const WireTable& table);
    bool operator==(const RegisterValue&) const = default;
};
static_assert(sizeof(RegisterValue) == 16);

namespace reg {

inline constexpr std::uint32_t kExplicitSuspend = 0x0000'0000;
inline constexpr std::uint32_t kInterceptSuspend = 0x0000'0001;
inline constexpr std::uint32_t kInternalActivityState = 0x0000'0004;
inline constexpr std::uint32_t kGuestCrashP0 = 0x0000'0210;
inline constexpr std::uint32_t kGuestCrashControl = 0x0000'0215;
inline constexpr std::uint32_t kPendingInterruption = 0x0001'0002;
inline constexpr std::uint32_t kInterruptState = 0x0001'0003;
inline constexpr std::uint32_t kPendingEvent0 = 0x0001'0004;
inline constexpr std::uint32_t kPendingEvent1 = 0x0001'0005;
inline constexpr std::uint32_t kDeliverabilityNotifications = 0x0001'0006;
inline constexpr std::uint32_t kRax = 0x0002'0000;  ///< + hardware encoding
inline constexpr std::uint32_t kRip = 0x0002'0010;
inline constexpr std::uint32_t kRflags = 0x0002'0011;
inline constexpr std::uint32_t kXmm0 = 0x0003'0000;
inline constexpr std::uint32_t kFpMmx0 = 0x0003'0010;
inline constexpr std::uint32_t kFpControlStatus = 0x0003'0018;
inline constexpr std::uint32_t kXmmControlStatus = 0x0003'0019;
inline constexpr std::uint32_t kCr0 = 0x0004'0000;
inline constexpr std::uint32_t kCr2 = 0x0004'0001;
inline constexpr std::uint32_t kCr3 = 0x0004'0002;
inline constexpr std::uint32_t kCr4 = 0x0004'0003;
inline constexpr std::uint32_t kCr8 = 0x0004'0004;
inline constexpr std::uint32_t kXfem = 0x0004'0005;
inline constexpr std::uint32_t kDr0 = 0x0005'0000;  ///< DR0-3, then DR6, DR7
inline constexpr std::uint32_t kEs = 0x0006'0000;   ///< ES, CS, SS, DS, FS, GS, LDTR, TR
inline constexpr std::uint32_t kTr = 0x0006'0007;
inline constexpr std::uint32_t kIdtr = 0x0007'0000;
inline constexpr std::uint32_t kGdtr = 0x0007'0001;
inline constexpr std::uint32_t kTsc = 0x0008'0000;
inline constexpr std::uint32_t kEfer = 0x0008'0001;
inline constexpr std::uint32_t kKernelGsBase = 0x0008'0002;
inline constexpr std::uint32_t kApicBase = 0x0008'0003;
inline constexpr std::uint32_t kPat = 0x0008'0004;
inline constexpr std::uint32_t kSysenterCs = 0x0008'0005;
inline constexpr std::uint32_t kSysenterEip = 0x0008'0006;
inline constexpr std::uint32_t kSysenterEsp = 0x0008'0007;
inline constexpr std::uint32_t kStar = 0x0008'0008;
inline constexpr std::uint32_t kLstar = 0x0008'0009;
inline constexpr std::uint32_t kCstar = 0x0008'000a;
inline constexpr std::uint32_t kSfmask = 0x0008'000b;
inline constexpr std::uint32_t kInitialApicId = 0x0008'000c;
inline constexpr std::uint32_t kMtrrCap = 0x0008'000d;
inline constexpr std::uint32_t kMtrrDefType = 0x0008'000e;
inline constexpr std::uint32_t kMtrrPhysBase0 = 0x0008'0010;  ///< 16
inline constexpr std::uint32_t kMtrrPhysMask0 = 0x0008'0040;  ///< 16
inline constexpr std::uint32_t kMtrrFix64k = 0x0008'0070;     ///< 64K, 16K x 2, 4K x 8 in MSR order
inline constexpr std::uint32_t kTscAux = 0x0008'007b;
inline constexpr std::uint32_t kApicId = 0x0008'4802;  ///< 0x84800 + x2APIC register number
inline constexpr std::uint32_t kApicFirst = 0x0008'4800;
inline constexpr std::uint32_t kApicLast = 0x0008'483f;
inline constexpr std::uint32_t kVpRuntime = 0x0009'0000;
inline constexpr std::uint32_t kHypercall = 0x0009'0001;
inline constexpr std::uint32_t kGuestOsId = 0x0009'0002;
inline constexpr std::uint32_t kVpIndex = 0x0009'0003;
inline constexpr std::uint32_t kTimeRefCount = 0x0009'0004;
inline constexpr std::uint32_t kVpAssistPage = 0x0009'0013;
inline constexpr std::uint32_t kReferenceTsc = 0x0009'0017;
inline constexpr std::uint32_t kSint0 = 0x000a'0000;
inline constexpr std::uint32_t kScontrol = 0x000a'0010;
inline constexpr std::uint32_t kSversion = 0x000a'0011;
inline constexpr std::uint32_t kSiefp = 0x000a'0012;
inline constexpr std::uint32_t kSimp = 0x000a'0013;
inline constexpr std::uint32_t kEom = 0x000a'0014;
inline constexpr std::uint32_t kStimer0Config = 0x000b'0000;  ///< config, count, config, ...

/// HV_X64_PENDING_INTERRUPTION_REGISTER.
struct PendingInterruption {
    static constexpr std::uint64_t kPending = 1;
    using Type = sim::Bits<3, 1>;  ///< as InjectedEvent::Type
    static constexpr std::uint64_t kDeliverErrorCode = 1u << 4;
    using InstructionLength = sim::Bits<8, 5>;
    using Vector = sim::Bits<31, 16>;
    using ErrorCode = sim::Bits<63, 32>;
};

/// HV_INTERNAL_ACTIVITY_REGISTER.
inline constexpr std::uint64_t kStartupSuspend = 1;
inline constexpr std::uint64_t kHaltSuspend = 2;
inline constexpr std::uint64_t kIdleSuspend = 4;

/// HV_X64_INTERRUPT_STATE_REGISTER.
inline constexpr std::uint64_t kInterruptShadow = 1;
inline constexpr std::uint64_t kNmiMasked = 2;

/// HV_X64_PENDING_EXCEPTION_EVENT (PendingEvent0, event type 0).
struct PendingException {
    static constexpr std::uint64_t kPending = 1;
    using EventType = sim::Bits<3, 1>;
    static constexpr std::uint64_t kDeliverErrorCode = 1u << 8;
    using Vector = sim::Bits<31, 16>;
    using ErrorCode = sim::Bits<63, 32>;
};

}  // namespace reg
}  // namespace hvsim::hv
