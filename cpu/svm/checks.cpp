// The consistency checks of VMRUN. spec/rules.h has the rules in words; the first broken one is
// reported.
#include "cpu/descriptor.h"
#include "cpu/msr_file.h"
#include "cpu/svm/guest.h"
#include "cpu/svm/spec/rules.h"
#include "mmu/walk.h"
#include "sim/error.h"

namespace hvsim::cpu::svm {
namespace {

/// Collects the first broken rule.
class Rules {
  public:
    explicit Rules(EntryFailure& failure) : failure_(failure) {}

    /// Rule `number`: `holds`, or else the field at `offset` is to blame.
    void demand(std::uint32_t number, std::uint16_t offset, std::uint64_t value, bool holds) {
        if (holds || failed_) return;
        failed_ = true;
        const Rule* rule = find_rule(kRuleGroups, number).rule;
        SIM_ASSERT(rule != nullptr);
        failure_ = {number, rule->section, rule->demand, offset, value};
    }
    bool passed() const noexcept { return !failed_; }

  private:
    EntryFailure& failure_;
    bool failed_ = false;
};

constexpr std::uint64_t kCr4Valid = cr4::kVME | cr4::kPVI | cr4::kTSD | cr4::kDE | cr4::kPSE |
                                    cr4::kPAE | cr4::kMCE | cr4::kPGE | cr4::kPCE | cr4::kOSFXSR |
                                    cr4::kOSXMMEXCPT | cr4::kFSGSBASE | cr4::kOSXSAVE | cr4::kSMEP |
                                    cr4::kSMAP | cr4::kPCIDE | cr4::kUMIP;
constexpr std::uint64_t kEferValid =
    efer::kSCE | efer::kLME | efer::kLMA | efer::kNXE | efer::kSVME;

/// APM 2 15.5.1.
void check_registers(Rules& rules, const SaveImage& state, unsigned physical_bits) {
    const std::uint64_t efer_value = state.get(vmcb::EFER);
    const std::uint64_t cr0 = state.get(vmcb::CR0), cr4 = state.get(vmcb::CR4);
    const auto of = [&](std::uint32_t number, FieldAt<std::uint64_t> field, bool holds) {
        rules.demand(number, field.offset, state.get(field), holds);
    };
    of(101, vmcb::EFER, (efer_value & efer::kSVME) != 0);
    of(102, vmcb::CR0, (cr0 & cr0::kCD) || !(cr0 & cr0::kNW));
    of(103, vmcb::CR0, cr0 >> 32 == 0);
    const bool long_mode = (efer_value & efer::kLME) && (cr0 & cr0::kPG);
    of(104, vmcb::CR3, state.get(vmcb::CR3) >> physical_bits == 0);
    of(105, vmcb::CR4, (cr4 & ~kCr4Valid) == 0);
    of(106, vmcb::DR6, state.get(vmcb::DR6) >> 32 == 0);
    of(107, vmcb::DR7, state.get(vmcb::DR7) >> 32 == 0);
    of(108, vmcb::EFER, (efer_value & ~kEferValid) == 0);
    of(109, vmcb::CR4, !long_mode || (cr4 & cr4::kPAE));
    of(110, vmcb::CR0, !long_mode || (cr0 & cr0::kPE));
    const std::uint16_t cs = state.get(vmcb::CS_ATTRIB);
    rules.demand(111, vmcb::CS_ATTRIB.offset, cs,
                 !long_mode || !(cr4 & cr4::kPAE) || !attrib::L::test(cs) || !attrib::DB::test(cs));
}

/// APM 2 15.5.1, 15.21.10.
void check_controls(Rules& rules, const Controls& controls, const Host& host,
                    unsigned physical_bits) {
    rules.demand(120, vmcb::INTERCEPT_MISC2.offset, controls.misc[1],
                 controls.intercepts(ExitCode::VMRUN));
    // The last byte that the processor looks at lies below the greatest physical address. Bits 11:0
    // of both addresses are ignored.
    const auto inside = [physical_bits](std::uint64_t base, std::uint64_t last) {
        const std::uint64_t greatest = (std::uint64_t{1} << physical_bits) - 1;
        base &= ~std::uint64_t{0xfff};
        return base < greatest && last < greatest - base;
    };
    rules.demand(121, vmcb::IOPM_BASE_PA.offset, controls.iopm,
                 !controls.intercepts(ExitCode::IOIO) || inside(controls.iopm, kIopmLast));
    rules.demand(122, vmcb::MSRPM_BASE_PA.offset, controls.msrpm,
                 !controls.intercepts(ExitCode::MSR) || inside(controls.msrpm, kMsrpmLast));
    rules.demand(123, vmcb::GUEST_ASID.offset, controls.asid, controls.asid != 0);
    rules.demand(124, vmcb::VINTR.offset, controls.vintr,
                 !host.features.virtual_nmi || !vintr::V_NMI_ENABLE::test(controls.vintr) ||
                     controls.intercepts(ExitCode::NMI));
}

/// APM 2 15.29.4.
void check_avic(Rules& rules, const Controls& controls, const Host& host, unsigned physical_bits) {
    if (!host.features.avic) return;
    const bool enabled = vintr::AVIC_ENABLE::test(controls.vintr);
    const bool x2apic = host.features.x2avic && vintr::X2AVIC_ENABLE::test(controls.vintr);
    rules.demand(150, vmcb::VINTR.offset, controls.vintr, enabled || !x2apic);
    if (!enabled) return;
    const auto inside = [physical_bits](std::uint64_t pointer) {
        return (pointer & ~std::uint64_t{0xfff}) >> physical_bits == 0;
    };
    const std::uint64_t table = controls.avic_physical_table;
    rules.demand(
        151, vmcb::AVIC_PHYSICAL_TABLE.offset, table,
        avic::MAX_INDEX::get(table) <= (x2apic ? avic::kMaxIndexX2apic : avic::kMaxIndexXapic));
    rules.demand(152, vmcb::AVIC_PHYSICAL_TABLE.offset, table, inside(table));
    rules.demand(153, vmcb::AVIC_BACKING_PAGE.offset, controls.avic_backing_page,
                 inside(controls.avic_backing_page));
    rules.demand(154, vmcb::AVIC_LOGICAL_TABLE.offset, controls.avic_logical_table,
                 x2apic || inside(controls.avic_logical_table));
}

/// APM 2 15.25.3, 15.25.4, 15.34.
void check_nested_paging(Rules& rules, const Controls& controls, const SaveImage& state,
                         const Host& host, unsigned physical_bits) {
    rules.demand(130, vmcb::NESTED_CONTROL.offset, controls.nested,
                 !nested_control::SEV::test(controls.nested) &&
                     !nested_control::SEV_ES::test(controls.nested));
    if (!nested_control::NP_ENABLE::test(controls.nested)) return;
    rules.demand(134, vmcb::NESTED_CONTROL.offset, controls.nested, host.features.nested_paging);
    rules.demand(131, vmcb::N_CR3.offset, controls.n_cr3, controls.n_cr3 >> physical_bits == 0);
    const std::uint64_t pat = state.get(vmcb::G_PAT);
    rules.demand(132, vmcb::G_PAT.offset, pat, is_valid_pat(pat));
    rules.demand(133, vmcb::NESTED_CONTROL.offset, controls.nested, host.paging);
}

}  // namespace

bool check_pdptes(const sim::Ram& ram, const Controls& controls, const SaveImage& state,
                  unsigned physical_bits, EntryFailure& failure) {
    const bool long_mode = (state.get(vmcb::EFER) & efer::kLME) != 0;
    const bool pae = (state.get(vmcb::CR0) & cr0::kPG) && (state.get(vmcb::CR4) & cr4::kPAE);
    if (nested_control::NP_ENABLE::test(controls.nested) || long_mode || !pae) return true;
    Rules rules(failure);
    const std::uint64_t table = state.get(vmcb::CR3) & mmu::paging::PAE_CR3_ADDRESS::kMask;
    for (unsigned i = 0; i < 4; ++i) {
        std::uint64_t pdpte = ~std::uint64_t{0};
        ram.read(table + 8 * i, pdpte);
        rules.demand(112, vmcb::CR3.offset, pdpte,
                     !mmu::pdpte_reserved_bits_set(pdpte, physical_bits));
    }
    return rules.passed();
}

bool check_event(const Controls& controls, EntryFailure& failure) {
    Rules rules(failure);
    rules.demand(140, vmcb::TLB_CONTROL.offset, controls.tlb_control,
                 controls.tlb_control == tlb_control::kNothing ||
                     controls.tlb_control == tlb_control::kFlushAll ||
                     controls.tlb_control == tlb_control::kFlushAsid ||
                     controls.tlb_control == tlb_control::kFlushAsidNonGlobal);
    const std::uint64_t info = controls.event_injection;
    if (event::V::test(info)) {
        const std::uint64_t type = event::TYPE::get(info), vector = event::VECTOR::get(info);
        rules.demand(141, vmcb::EVENTINJ.offset, info,
                     type == event::kInterrupt || type == event::kNmi ||
                         type == event::kException || type == event::kSoftwareInterrupt);
        rules.demand(142, vmcb::EVENTINJ.offset, info,
                     type != event::kException || (vector < 32 && vector != kNmi));
    }
    return rules.passed();
}

bool check_state(const Controls& controls, const SaveImage& state, const Host& host,
                 unsigned physical_bits, EntryFailure& failure) {
    Rules rules(failure);
    check_registers(rules, state, physical_bits);
    check_controls(rules, controls, host, physical_bits);
    check_nested_paging(rules, controls, state, host, physical_bits);
    check_avic(rules, controls, host, physical_bits);
    return rules.passed();
}

}  // namespace hvsim::cpu::svm
