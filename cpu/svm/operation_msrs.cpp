// The MSRs of SVM (APM 2 15.30).
#include "cpu/descriptor.h"
#include "cpu/msr_file.h"
#include "cpu/svm/operation.h"

namespace hvsim::cpu::svm {
namespace {

constexpr std::uint32_t kTscRatio = 0xc0000104, kVmCr = msr::kAmdVmCr, kIgnne = 0xc0010115,
                        kSmmControl = 0xc0010116, kHsavePa = msr::kAmdVmHsavePa,
                        kSvmKey = 0xc0010118, kDoorbell = 0xc001011b;

// VM_CR (APM 2 15.30.1): DPD, R_INIT, DIS_A20M, LOCK, SVMDIS.
constexpr std::uint64_t kVmCrValid = 0x1f, kLock = 1u << 3, kDisable = 1u << 4;
constexpr std::uint64_t kTscRatioValid = (std::uint64_t{1} << 40) - 1;

// DebugCtl (APM 2 13.1.1.6): LBR, BTF, PB0 to PB3. DEVIATION: the breakpoint
// pins do nothing.
constexpr std::uint64_t kDebugControlValid = 0x3f;
constexpr std::uint32_t kLastBranchFrom = 0x1db, kLastBranchTo = 0x1dc, kLastExceptionFrom = 0x1dd,
                        kLastExceptionTo = 0x1de;

}  // namespace

/// The doorbell register (APM 2 15.29.8.2): a processor by its physical APIC id, which has more
/// than 8 bits as an x2APIC's. False: reserved bits are set.
bool Operation::ring_doorbell(std::uint64_t value) {
    apic::LocalApic* apic = core_.local_apic();
    if (apic == nullptr) return true;
    if (value >> (apic->mode() == apic::ApicMode::x2apic ? 32 : 8) != 0) return false;
    apic->send_doorbell(static_cast<std::uint32_t>(value), core_.now());
    return true;
}

bool Operation::allows_efer(std::uint64_t value) const noexcept {
    return !(value & efer::kSVME) || !(vm_cr_ & kDisable);
}

bool Operation::read_msr(std::uint32_t number, std::uint64_t& value, bool& fault) {
    switch (number) {
        case msr::kDebugCtl:
            value = core_.last_branches().debug_control;
            return true;
        case kLastBranchFrom:
            value = core_.last_branches().from;
            return true;
        case kLastBranchTo:
            value = core_.last_branches().to;
            return true;
        case kLastExceptionFrom:
            value = core_.last_branches().exception_from;
            return true;
        case kLastExceptionTo:
            value = core_.last_branches().exception_to;
            return true;
        case kTscRatio:
            value = tsc_ratio_;
            return true;
        case kVmCr:
            value = vm_cr_;
            return true;
        case kHsavePa:
            value = hsave_;
            return true;
        case kIgnne:
            value = 0;
            return true;
        case kSvmKey:
            value = 0;
            return true;  // reads as zero
        case kSmmControl:
            fault = true;
            return true;  // write only
        case kDoorbell:
            fault = true;
            return features_.avic;
        default:
            return false;
    }
}

bool Operation::write_msr(std::uint32_t number, std::uint64_t value, bool& fault) {
    LastBranches& branches = core_.last_branches();
    switch (number) {
        case msr::kDebugCtl:
            fault = (value & ~kDebugControlValid) != 0;
            if (!fault) branches.debug_control = value;
            return true;
        case kLastBranchFrom:
            branches.from = value;
            return true;
        case kLastBranchTo:
            branches.to = value;
            return true;
        case kLastExceptionFrom:
            branches.exception_from = value;
            return true;
        case kLastExceptionTo:
            branches.exception_to = value;
            return true;
        case kTscRatio:
            fault = (value & ~kTscRatioValid) != 0;
            if (!fault) tsc_ratio_ = value;
            return true;
        case kVmCr: {
            if (value & ~kVmCrValid) {
                fault = true;
                return true;
            }
            const std::uint64_t kept = vm_cr_ & kLock ? kLock | kDisable : 0;
            const std::uint64_t wanted = (value & ~kept) | (vm_cr_ & kept);
            fault = (wanted & kDisable) && (core_.efer() & efer::kSVME);
            if (!fault) vm_cr_ = wanted;
            return true;
        }
        case kHsavePa:
            fault = (value & (kVmcbSize - 1)) || value >> core_.model().physical_address_bits;
            if (!fault) hsave_ = value;
            return true;
        case kSvmKey:
            // APM 2 15.31: before the lock it sets the key; then the right one opens the lock.
            if (!(vm_cr_ & kLock))
                key_ = value;
            else if (key_ != 0 && value == key_)
                vm_cr_ &= ~kLock;
            return true;
        case kIgnne:
            fault = (value & ~std::uint64_t{1}) != 0;
            return true;
        case kDoorbell:
            if (!features_.avic) return false;
            fault = !ring_doorbell(value);
            return true;
        case kSmmControl:
            return true;  // DEVIATION: no system-management mode to control
        default:
            return false;
    }
}

}  // namespace hvsim::cpu::svm
