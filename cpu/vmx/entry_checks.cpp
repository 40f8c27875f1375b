// The checks of VM entry on the guest state (SDM 3C 27.3.1).
#include "cpu/linear_address.h"
#include "cpu/msr_file.h"
#include "cpu/vmx/capabilities.h"
#include "cpu/vmx/entry_rules.h"
#include "cpu/vmx/spec/rules.h"
#include "sim/error.h"

namespace hvsim::cpu::vmx {
namespace {

/// 27.3.1.1.
void check_control_registers(Rules& rules, bool unrestricted, bool ia32e) {
    using F = Field;
    const std::uint64_t cr0 = rules[F::GUEST_CR0], cr4 = rules[F::GUEST_CR4];
    std::uint64_t fixed0 = kCr0Fixed0;
    if (unrestricted) fixed0 &= ~(cr0::kPE | cr0::kPG);
    rules.demand(301, F::GUEST_CR0, (cr0 & fixed0) == fixed0 && (cr0 & ~kCr0Fixed1) == 0);
    rules.demand(302, F::GUEST_CR0, !(cr0 & cr0::kPG) || (cr0 & cr0::kPE));
    rules.demand(303, F::GUEST_CR4, rules.is_valid_cr4(cr4));
    rules.demand(304, F::GUEST_CR0, !ia32e || (cr0 & cr0::kPG));
    rules.demand(305, F::GUEST_CR4, !ia32e || (cr4 & cr4::kPAE));
    rules.demand(306, F::GUEST_CR4, ia32e || !(cr4 & cr4::kPCIDE));
    rules.demand(307, F::GUEST_CR3, rules.is_physical(rules[F::GUEST_CR3]));
    rules.demand(308, F::GUEST_DR7, rules[F::GUEST_DR7] >> 32 == 0);
    rules.demand(309, F::GUEST_SYSENTER_ESP, is_canonical(rules[F::GUEST_SYSENTER_ESP]));
    rules.demand(310, F::GUEST_SYSENTER_EIP, is_canonical(rules[F::GUEST_SYSENTER_EIP]));
    const std::uint64_t entry = rules[F::ENTRY_CONTROLS];
    if (entry & entry_control::kLoadDebugControls)
        rules.demand(315, F::GUEST_DEBUGCTL,
                     (rules[F::GUEST_DEBUGCTL] & ~std::uint64_t{0xdfc7}) == 0);
    if (entry & entry_control::kLoadPat)
        rules.demand(311, F::GUEST_PAT, is_valid_pat(rules[F::GUEST_PAT]));
    if (entry & entry_control::kLoadEfer) {
        const std::uint64_t value = rules[F::GUEST_EFER];
        constexpr std::uint64_t kValid = efer::kSCE | efer::kLME | efer::kLMA | efer::kNXE;
        rules.demand(312, F::GUEST_EFER, (value & ~kValid) == 0);
        rules.demand(313, F::GUEST_EFER, ((value & efer::kLMA) != 0) == ia32e);
        rules.demand(
            314, F::GUEST_EFER,
            !(cr0 & cr0::kPG) || ((value & efer::kLMA) != 0) == ((value & efer::kLME) != 0));
    }
}

/// 27.3.1.2, of a segment other than CS and SS; its rules begin at `number`.
void check_data_segment(Rules& rules, std::uint32_t number, unsigned index, bool unrestricted) {
    const Field rights_field = nth(Field::GUEST_ES_ACCESS_RIGHTS, index);
    const std::uint64_t rights = rules[rights_field];
    if (unusable(rights)) return;
    const std::uint64_t type = ar::TYPE::get(rights);
    rules.demand(number, rights_field, ar::S::test(rights) && ar::P::test(rights));
    rules.demand(number + 1, rights_field, (type & 1) != 0);
    rules.demand(number + 2, rights_field, (type & 0xa) != 8);
    rules.demand(number + 3, rights_field, reserved_clear(rights));
    rules.demand(number + 4, rights_field,
                 granularity_fits(rights, rules[nth(Field::GUEST_ES_LIMIT, index)]));
    const std::uint64_t rpl = rules[nth(Field::GUEST_ES_SELECTOR, index)] & 3;
    rules.demand(347, rights_field, unrestricted || type > 11 || ar::DPL::get(rights) >= rpl);
    const Field base = nth(Field::GUEST_ES_BASE, index);
    if (index < 4) rules.demand(348, base, rules[base] >> 32 == 0);
}

/// 27.3.1.2: TR and LDTR.
void check_system_segments(Rules& rules, bool ia32e) {
    using F = Field;
    rules.demand(321, F::GUEST_TR_SELECTOR, (rules[F::GUEST_TR_SELECTOR] & 4) == 0);
    const std::uint64_t tr = rules[F::GUEST_TR_ACCESS_RIGHTS];
    const std::uint64_t tr_type = ar::TYPE::get(tr);
    rules.demand(322, F::GUEST_TR_ACCESS_RIGHTS,
                 !unusable(tr) && (tr_type == 11 || (!ia32e && tr_type == 3)));
    rules.demand(323, F::GUEST_TR_ACCESS_RIGHTS, !ar::S::test(tr) && ar::P::test(tr));
    rules.demand(324, F::GUEST_TR_BASE, is_canonical(rules[F::GUEST_TR_BASE]));
    rules.demand(375, F::GUEST_TR_ACCESS_RIGHTS, reserved_clear(tr));
    rules.demand(376, F::GUEST_TR_ACCESS_RIGHTS, granularity_fits(tr, rules[F::GUEST_TR_LIMIT]));
    const std::uint64_t ldtr = rules[F::GUEST_LDTR_ACCESS_RIGHTS];
    if (unusable(ldtr)) return;
    rules.demand(325, F::GUEST_LDTR_ACCESS_RIGHTS,
                 ar::TYPE::get(ldtr) == 2 && !ar::S::test(ldtr) && ar::P::test(ldtr));
    rules.demand(326, F::GUEST_LDTR_BASE, is_canonical(rules[F::GUEST_LDTR_BASE]));
    rules.demand(329, F::GUEST_LDTR_SELECTOR, (rules[F::GUEST_LDTR_SELECTOR] & 4) == 0);
    rules.demand(377, F::GUEST_LDTR_ACCESS_RIGHTS, reserved_clear(ldtr));
    rules.demand(378, F::GUEST_LDTR_ACCESS_RIGHTS,
                 granularity_fits(ldtr, rules[F::GUEST_LDTR_LIMIT]));
}

/// Virtual-8086 mode: ES, CS, SS, DS, FS and GS as real mode makes them, at privilege level 3.
void check_v86_segments(Rules& rules) {
    for (unsigned index = 0; index < 6; ++index) {
        const Field base = nth(Field::GUEST_ES_BASE, index),
                    limit = nth(Field::GUEST_ES_LIMIT, index),
                    rights = nth(Field::GUEST_ES_ACCESS_RIGHTS, index);
        rules.demand(352, base, rules[base] == rules[nth(Field::GUEST_ES_SELECTOR, index)] << 4);
        rules.demand(353, limit, rules[limit] == 0xffff);
        rules.demand(354, rights, rules[rights] == 0xf3);
    }
}

void check_code_segment(Rules& rules, bool unrestricted, bool ia32e) {
    using F = Field;
    const std::uint64_t cs = rules[F::GUEST_CS_ACCESS_RIGHTS];
    const std::uint64_t cs_type = ar::TYPE::get(cs);
    rules.demand(331, F::GUEST_CS_ACCESS_RIGHTS,
                 !unusable(cs) && (cs_type == 9 || cs_type == 11 || cs_type == 13 ||
                                   cs_type == 15 || (unrestricted && cs_type == 3)));
    rules.demand(332, F::GUEST_CS_ACCESS_RIGHTS, ar::S::test(cs) && ar::P::test(cs));
    rules.demand(333, F::GUEST_CS_ACCESS_RIGHTS, !(ia32e && ar::L::test(cs) && ar::DB::test(cs)));
    rules.demand(334, F::GUEST_CS_BASE, rules[F::GUEST_CS_BASE] >> 32 == 0);
    const std::uint64_t dpl = ar::DPL::get(cs),
                        ss_dpl = ar::DPL::get(rules[F::GUEST_SS_ACCESS_RIGHTS]);
    const bool conforming = cs_type == 13 || cs_type == 15;
    rules.demand(339, F::GUEST_CS_ACCESS_RIGHTS,
                 cs_type == 3 ? dpl == 0
                 : conforming ? dpl <= ss_dpl
                              : dpl == ss_dpl);
    rules.demand(340, F::GUEST_CS_ACCESS_RIGHTS, reserved_clear(cs));
    rules.demand(346, F::GUEST_CS_ACCESS_RIGHTS, granularity_fits(cs, rules[F::GUEST_CS_LIMIT]));
}

void check_stack_segment(Rules& rules, bool unrestricted) {
    using F = Field;
    const std::uint64_t ss = rules[F::GUEST_SS_ACCESS_RIGHTS], dpl = ar::DPL::get(ss);
    const std::uint64_t rpl = rules[F::GUEST_SS_SELECTOR] & 3;
    rules.demand(330, F::GUEST_SS_SELECTOR,
                 unrestricted || rpl == (rules[F::GUEST_CS_SELECTOR] & 3));
    rules.demand(337, F::GUEST_SS_ACCESS_RIGHTS, unrestricted || dpl == rpl);
    const bool level0 =
        ar::TYPE::get(rules[F::GUEST_CS_ACCESS_RIGHTS]) == 3 || !(rules[F::GUEST_CR0] & cr0::kPE);
    rules.demand(338, F::GUEST_SS_ACCESS_RIGHTS, !level0 || dpl == 0);
    if (unusable(ss)) return;
    rules.demand(335, F::GUEST_SS_ACCESS_RIGHTS, ar::TYPE::get(ss) == 3 || ar::TYPE::get(ss) == 7);
    rules.demand(336, F::GUEST_SS_ACCESS_RIGHTS, ar::S::test(ss) && ar::P::test(ss));
    rules.demand(349, F::GUEST_SS_ACCESS_RIGHTS, reserved_clear(ss));
    rules.demand(350, F::GUEST_SS_ACCESS_RIGHTS, granularity_fits(ss, rules[F::GUEST_SS_LIMIT]));
    rules.demand(351, F::GUEST_SS_BASE, rules[F::GUEST_SS_BASE] >> 32 == 0);
}

void check_segments(Rules& rules, bool unrestricted, bool ia32e) {
    using F = Field;
    check_system_segments(rules, ia32e);
    rules.demand(327, F::GUEST_FS_BASE, is_canonical(rules[F::GUEST_FS_BASE]));
    rules.demand(328, F::GUEST_GS_BASE, is_canonical(rules[F::GUEST_GS_BASE]));
    if (rules[F::GUEST_RFLAGS] & rflags::kVM) {
        check_v86_segments(rules);
    } else {
        check_code_segment(rules, unrestricted, ia32e);
        check_stack_segment(rules, unrestricted);
        for (const unsigned index : {0u, 3u, 4u, 5u})
            check_data_segment(rules, 341 + index * 5, index, unrestricted);
    }
}

/// 27.3.1.3.
void check_table_registers(Rules& rules) {
    using F = Field;
    rules.demand(371, F::GUEST_GDTR_BASE, is_canonical(rules[F::GUEST_GDTR_BASE]));
    rules.demand(372, F::GUEST_IDTR_BASE, is_canonical(rules[F::GUEST_IDTR_BASE]));
    rules.demand(373, F::GUEST_GDTR_LIMIT, rules[F::GUEST_GDTR_LIMIT] >> 16 == 0);
    rules.demand(374, F::GUEST_IDTR_LIMIT, rules[F::GUEST_IDTR_LIMIT] >> 16 == 0);
}

/// 27.3.1.4.
void check_rip(Rules& rules, bool ia32e) {
    using F = Field;
    const std::uint64_t rip = rules[F::GUEST_RIP];
    const bool long64 = ia32e && ar::L::test(rules[F::GUEST_CS_ACCESS_RIGHTS]);
    rules.demand(381, F::GUEST_RIP, long64 ? is_canonical(rip) : rip >> 32 == 0);
}

void check_rip_rflags(Rules& rules, bool ia32e) {
    using F = Field;
    check_rip(rules, ia32e);
    const std::uint64_t flags = rules[F::GUEST_RFLAGS];
    constexpr std::uint64_t kReserved = ~std::uint64_t{0x3f7fd7};
    rules.demand(382, F::GUEST_RFLAGS, (flags & kReserved) == 0 && (flags & 2) != 0);
    rules.demand(383, F::GUEST_RFLAGS,
                 !(flags & rflags::kVM) || (!ia32e && (rules[F::GUEST_CR0] & cr0::kPE)));
    const std::uint64_t info = rules[F::ENTRY_INTERRUPTION_INFO];
    const bool injects_interrupt =
        interruption::VALID::test(info) && interruption::TYPE::get(info) == 0;
    rules.demand(384, F::GUEST_RFLAGS, !injects_interrupt || (flags & rflags::kIF));
}

/// Whether the link pointer names a VMCS of the kind that the controls want.
bool is_linked_vmcs(Rules& rules, std::uint64_t link) {
    const std::uint64_t primaries = rules[Field::PRIMARY_CONTROLS];
    const bool shadowing = (primaries & primary::kSecondaryControls) &&
                           (rules[Field::SECONDARY_CONTROLS] & secondary::kVmcsShadowing);
    const std::uint32_t word = Region(rules.guest().core().ram(), link).revision_word();
    return word == (shadowing ? kRevision | Region::kShadowIndicator : kRevision);
}

/// 27.3.1.5.
void check_non_register_state(Rules& rules) {
    using F = Field;
    const std::uint64_t blocking = rules[F::GUEST_INTERRUPTIBILITY];
    const std::uint64_t info = rules[F::ENTRY_INTERRUPTION_INFO];
    const bool valid = interruption::VALID::test(info);
    rules.demand(392, F::GUEST_INTERRUPTIBILITY, (blocking & ~std::uint64_t{0x0b}) == 0);
    rules.demand(393, F::GUEST_INTERRUPTIBILITY, (blocking & 3) != 3);
    rules.demand(394, F::GUEST_INTERRUPTIBILITY,
                 !(blocking & 1) || (rules[F::GUEST_RFLAGS] & rflags::kIF));
    rules.demand(395, F::GUEST_INTERRUPTIBILITY,
                 !valid || interruption::TYPE::get(info) != 0 || (blocking & 3) == 0);
    rules.demand(kNmiInjectionRule, F::GUEST_INTERRUPTIBILITY,
                 !valid || interruption::TYPE::get(info) != 2 || (blocking & 2) == 0);
    rules.demand(399, F::GUEST_INTERRUPTIBILITY,
                 !valid || interruption::TYPE::get(info) != 2 || (blocking & 8) == 0 ||
                     !(rules[F::PIN_BASED_CONTROLS] & pin::kVirtualNmis));
    const std::uint64_t link = rules[F::VMCS_LINK_POINTER];
    rules.demand(
        kLinkPointerRule, F::VMCS_LINK_POINTER,
        link == ~std::uint64_t{0} || (rules.is_page_address(link) && is_linked_vmcs(rules, link)));
    constexpr std::uint64_t kPendingDebug = 0x1500f;  // B0-B3, enabled breakpoint, BS, RTM
    rules.demand(398, F::GUEST_PENDING_DEBUG,
                 (rules[F::GUEST_PENDING_DEBUG] & ~kPendingDebug) == 0);
}

/// Pending single steps and RFLAGS.TF agree where a shadow or HLT keeps the step pending.
void check_pending_debug(Rules& rules) {
    using F = Field;
    constexpr std::uint64_t kSingleStep = 1u << 14, kRtm = 1u << 16, kEnabled = 1u << 12;
    constexpr std::uint64_t kBtf = 1u << 1;
    const std::uint64_t pending = rules[F::GUEST_PENDING_DEBUG];
    const bool shadow = (rules[F::GUEST_INTERRUPTIBILITY] & 3) != 0;
    const bool waits = rules[F::GUEST_ACTIVITY] == static_cast<std::uint64_t>(ActivityState::hlt);
    const bool steps = (rules[F::GUEST_RFLAGS] & rflags::kTF) && !(rules[F::GUEST_DEBUGCTL] & kBtf);
    rules.demand(405, F::GUEST_PENDING_DEBUG,
                 !(shadow || waits) || ((pending & kSingleStep) != 0) == steps);
    rules.demand(406, F::GUEST_PENDING_DEBUG,
                 !(pending & kRtm) || (pending & ~(kRtm | kEnabled)) == 0);
}

/// Which events may be injected into a processor that is not active.
bool wakes(std::uint64_t activity, EventType type, std::uint64_t vector) noexcept {
    const bool machine_check = type == EventType::hardware_exception && vector == kMC;
    switch (static_cast<ActivityState>(activity)) {
        case ActivityState::active:
            return true;
        case ActivityState::hlt:
            return type == EventType::external_interrupt || type == EventType::nmi ||
                   (type == EventType::hardware_exception && vector == kDB) || machine_check;
        case ActivityState::shutdown:
            return type == EventType::nmi || machine_check;
        case ActivityState::wait_for_sipi:
            return false;
    }
    return false;
}

/// 27.3.1.5.
void check_activity(Rules& rules) {
    using F = Field;
    const std::uint64_t activity = rules[F::GUEST_ACTIVITY];
    const std::uint64_t info = rules[F::ENTRY_INTERRUPTION_INFO];
    rules.demand(391, F::GUEST_ACTIVITY, activity <= 3);
    if (activity == 0) return;
    rules.demand(402, F::GUEST_ACTIVITY,
                 activity != 1 || ar::DPL::get(rules[F::GUEST_SS_ACCESS_RIGHTS]) == 0);
    rules.demand(403, F::GUEST_ACTIVITY, (rules[F::GUEST_INTERRUPTIBILITY] & 3) == 0);
    rules.demand(404, F::GUEST_ACTIVITY,
                 !interruption::VALID::test(info) ||
                     wakes(activity, static_cast<EventType>(interruption::TYPE::get(info)),
                           interruption::VECTOR::get(info)));
}

/// PAE paging with EPT takes the PDPTEs from the VMCS (27.3.1.6).
void check_pdptes(Rules& rules, bool ia32e, bool ept) {
    using F = Field;
    if (!ept || ia32e || !(rules[F::GUEST_CR0] & cr0::kPG) || !(rules[F::GUEST_CR4] & cr4::kPAE))
        return;
    constexpr std::uint64_t kReserved = 0x1e6;  // SDM 3A table 4-8: bits 2:1 and 8:5
    for (const F pdpte : {F::GUEST_PDPTE0, F::GUEST_PDPTE1, F::GUEST_PDPTE2, F::GUEST_PDPTE3}) {
        const std::uint64_t entry = rules[pdpte];
        rules.demand(kPdpteRule, pdpte,
                     !(entry & 1) || ((entry & kReserved) == 0 && rules.is_physical(entry)));
    }
}

}  // namespace

EntryFailure broken_rule(std::uint32_t number, Field field, std::uint64_t value) {
    const Rule* rule = find_rule(kRuleGroups, number).rule;
    SIM_ASSERT(rule != nullptr);
    return {number, rule->section, rule->demand, field, value};
}

bool check_guest_state(const Guest& guest, EntryFailure& failure) {
    Rules rules(guest, failure);
    using F = Field;
    const std::uint64_t primaries = rules[F::PRIMARY_CONTROLS];
    const std::uint64_t secondaries =
        primaries & primary::kSecondaryControls ? rules[F::SECONDARY_CONTROLS] : 0;
    const bool unrestricted = (secondaries & secondary::kUnrestrictedGuest) != 0;
    const bool ia32e = (rules[F::ENTRY_CONTROLS] & entry_control::kIa32eGuest) != 0;
    check_control_registers(rules, unrestricted, ia32e);
    check_segments(rules, unrestricted, ia32e);
    check_table_registers(rules);
    check_rip_rflags(rules, ia32e);
    check_activity(rules);
    check_non_register_state(rules);
    if (guest.is_attached()) check_pending_debug(rules);
    check_pdptes(rules, ia32e, (secondaries & secondary::kEpt) != 0);
    return rules.passed();
}

void check_injection(const Guest& guest, EntryResult& result) {
    const std::uint64_t primaries = guest.read(Field::PRIMARY_CONTROLS);
    const auto secondaries = primaries & primary::kSecondaryControls
                                 ? static_cast<std::uint32_t>(guest.read(Field::SECONDARY_CONTROLS))
                                 : 0u;
    Rules controls(guest, result.failure);
    check_event_injection(controls, secondaries);
    if (!controls.passed()) {
        result.error = InstructionError::entry_invalid_controls;
        return;
    }
    Rules state(guest, result.failure);
    const bool ia32e = (guest.read(Field::ENTRY_CONTROLS) & entry_control::kIa32eGuest) != 0;
    check_rip_rflags(state, ia32e);
    check_activity(state);
    check_non_register_state(state);
    result.guest_state_failed = !state.passed();
}

void check_rip(const Guest& guest, EntryResult& result) {
    Rules state(guest, result.failure);
    check_rip(state, (guest.read(Field::ENTRY_CONTROLS) & entry_control::kIa32eGuest) != 0);
    result.guest_state_failed = !state.passed();
}

}  // namespace hvsim::cpu::vmx
