#include "cpu/vmx/capabilities.h"

#include <algorithm>

namespace hvsim::cpu::vmx {
namespace {

// Bits of the default1 class (SDM 3D A.2): reserved, must be 1 unless the TRUE MSRs say otherwise.
constexpr std::uint32_t kPinDefault1 = 0x00000016, kPrimaryDefault1 = 0x0401e172,
                        kExitDefault1 = 0x00036dff, kEntryDefault1 = 0x000011ff;
// Of these the TRUE MSRs allow 0 for CR3-load and CR3-store exiting and the debug controls.
constexpr std::uint32_t kPrimaryTrue1 =
    kPrimaryDefault1 & ~(primary::kCr3LoadExiting | primary::kCr3StoreExiting);
constexpr std::uint32_t kExitTrue1 = kExitDefault1 & ~exit_control::kSaveDebugControls;
constexpr std::uint32_t kEntryTrue1 = kEntryDefault1 & ~entry_control::kLoadDebugControls;

constexpr std::uint64_t pack(std::uint32_t must, std::uint32_t may) {
    return static_cast<std::uint64_t>(may) << 32 | must;
}

}  // namespace

const ControlCapability kPinControls{
    kPinDefault1, kPinDefault1 | pin::kExternalInterruptExiting | pin::kNmiExiting |
                      pin::kVirtualNmis | pin::kPreemptionTimer | pin::kPostedInterrupts};
const ControlCapability kPrimaryControls{
    kPrimaryTrue1, kPrimaryDefault1 | primary::kInterruptWindowExiting | primary::kTscOffsetting |
                       primary::kHltExiting | primary::kInvlpgExiting | primary::kMwaitExiting |
                       primary::kRdpmcExiting | primary::kRdtscExiting | primary::kCr8LoadExiting |
                       primary::kCr8StoreExiting | primary::kMovDrExiting |
                       primary::kUnconditionalIoExiting | primary::kIoBitmaps |
                       primary::kMsrBitmaps | primary::kMonitorExiting | primary::kPauseExiting |
                       primary::kTprShadow | primary::kNmiWindowExiting |
                       primary::kMonitorTrapFlag | primary::kSecondaryControls};
const ControlCapability kSecondaryControls{
    0, secondary::kEpt | secondary::kDescriptorTableExiting | secondary::kRdtscp |
           secondary::kVpid | secondary::kWbinvdExiting | secondary::kUnrestrictedGuest |
           secondary::kPauseLoopExiting | secondary::kInvpcid | secondary::kModeBasedExecute |
           secondary::kVirtualizeApicAccesses | secondary::kX2ApicMode |
           secondary::kApicRegisterVirtualization | secondary::kVirtualInterruptDelivery |
           secondary::kVmFunctions | secondary::kVmcsShadowing |
           secondary::kPageModificationLogging | secondary::kTscScaling};
const ControlCapability kExitControls{
    kExitTrue1, kExitDefault1 | exit_control::kHostAddressSpace64 |
                    exit_control::kAcknowledgeInterrupt | exit_control::kSavePat |
                    exit_control::kLoadPat | exit_control::kSaveEfer | exit_control::kLoadEfer |
                    exit_control::kSavePreemptionTimer};
const ControlCapability kEntryControls{kEntryTrue1, kEntryDefault1 | entry_control::kIa32eGuest |
                                                        entry_control::kLoadPat |
                                                        entry_control::kLoadEfer};

std::uint64_t ept_vpid_capability() noexcept {
    constexpr std::uint64_t kExecuteOnly = 1u << 0, kWalk4 = 1u << 6, kUncacheable = 1u << 8,
                            kWriteBack = 1u << 14, kPages2M = 1u << 16, kPages1G = 1u << 17,
                            kInvept = 1u << 20, kAccessedDirty = 1u << 21, kInveptSingle = 1u << 25,
                            kInveptAll = 1u << 26;
    constexpr std::uint64_t kInvvpid = std::uint64_t{1} << 32,
                            kInvvpidTypes = std::uint64_t{0xf} << 40;
    return kExecuteOnly | kWalk4 | kUncacheable | kWriteBack | kPages2M | kPages1G | kInvept |
           kAccessedDirty | kInveptSingle | kInveptAll | kInvvpid | kInvvpidTypes;
}

ControlCapability secondary_controls(const Model& model) noexcept {
    std::uint32_t absent = model.vmx_absent;
    constexpr std::uint32_t kInvpcidFeature = 1u << 10;  // CPUID.7.0:EBX
    if (!(model.features_7_ebx & kInvpcidFeature)) absent |= secondary::kInvpcid;
    return {kSecondaryControls.must_be_one, kSecondaryControls.may_be_one & ~absent};
}

std::uint64_t cr4_fixed1(const Model& model) noexcept {
    return valid_cr4(model, true);
}

bool has_field(const Model& model, Field field) noexcept {
    switch (field) {
        case Field::PML_ADDRESS:
        case Field::PML_INDEX:
            return !(model.vmx_absent & secondary::kPageModificationLogging);
        case Field::TSC_MULTIPLIER:
            return !(model.vmx_absent & secondary::kTscScaling);
        default:
            return true;
    }
}

namespace {

/// A.9: the highest index of a field, in its place.
std::uint64_t highest_index(const Model& model) noexcept {
    std::uint64_t highest = 0;
    for (const FieldDescription& field : kFieldTable)
        if (has_field(model, field.field))
            highest = std::max(highest, FIELD_INDEX::get(field.encoding()));
    return FIELD_INDEX::set(std::uint64_t{0}, highest);
}

}  // namespace

bool capability_msr(const Model& model, std::uint32_t number, std::uint64_t& value) noexcept {
    constexpr std::uint64_t kBasic = kRevision | static_cast<std::uint64_t>(kRegionSize) << 32 |
                                     std::uint64_t{6} << 50 | std::uint64_t{1} << 54 |
                                     std::uint64_t{1} << 55;
    switch (number) {
        case 0x480:
            value = kBasic;
            return true;
        case 0x481:
            value = pack(kPinDefault1, kPinControls.may_be_one);
            return true;
        case 0x482:
            value = pack(kPrimaryDefault1, kPrimaryControls.may_be_one);
            return true;
        case 0x483:
            value = pack(kExitDefault1, kExitControls.may_be_one);
            return true;
        case 0x484:
            value = pack(kEntryDefault1, kEntryControls.may_be_one);
            return true;
        // A.6: preemption timer's rate, EFER.LMA stored, activity states HLT, shutdown and
        // wait-for-SIPI, 4 CR3 targets, VMWRITE to any field, injection with instruction length 0
        case 0x485:
            value = kPreemptionTimerRate | 1u << 5 | 7u << 6 | 4u << 16 | 1u << 29 | 1u << 30;
            return true;
        case 0x486:
            value = kCr0Fixed0;
            return true;
        case 0x487:
            value = kCr0Fixed1;
            return true;
        case 0x488:
            value = kCr4Fixed0;
            return true;
        case 0x489:
            value = cr4_fixed1(model);
            return true;
        case 0x48a:
            value = highest_index(model);
            return true;
        case 0x48b:
            value = pack(0, secondary_controls(model).may_be_one);
            return true;
        case 0x48c:
            value = ept_vpid_capability();
            return true;
        case 0x48d:
            value = pack(kPinControls.must_be_one, kPinControls.may_be_one);
            return true;
        case 0x48e:
            value = pack(kPrimaryControls.must_be_one, kPrimaryControls.may_be_one);
            return true;
        case 0x48f:
            value = pack(kExitControls.must_be_one, kExitControls.may_be_one);
            return true;
        case 0x491:
            value = kVmFunctions;
            return true;
        case 0x490:
            value = pack(kEntryControls.must_be_one, kEntryControls.may_be_one);
            return true;
        default:
            return false;
    }
}

}  // namespace hvsim::cpu::vmx
