#pragma once
// The rules of SVM: what VMRUN and the other instructions check, in words. Source: AMD64
// Architecture Programmer's Manual volume 2 (publication 24593, revision 3.40), chapter 15;
// the instructions' own pages are in volume 3.
#include "cpu/rule.h"

namespace hvsim::cpu::svm {

inline constexpr Rule kEntryRules[] = {
    {101, "15.5.1", "EFER", "SVME 1"},
    {102, "15.5.1", "CR0", "NW 0 where CD is 0"},
    {103, "15.5.1", "CR0", "bits 63:32 0"},
    {104, "15.5.1", "CR3", "bits above the physical-address width 0"},
    {105, "15.5.1", "CR4", "reserved bits 0"},
    {106, "15.5.1", "DR6", "bits 63:32 0"},
    {107, "15.5.1", "DR7", "bits 63:32 0"},
    {108, "15.5.1", "EFER", "reserved bits 0"},
    {109, "15.5.1", "CR4", "PAE 1 where EFER.LME and CR0.PG are 1"},
    {110, "15.5.1", "CR0", "PE 1 where EFER.LME and CR0.PG are 1"},
    {111, "15.5.1", "CS_ATTRIB", "L and D not both 1 in long mode"},
    {112, "5.2.2", "CR3", "PDPTEs whose reserved bits are 0; found: the PDPTE"},
    {120, "15.5.1", "INTERCEPT_MISC2", "the VMRUN intercept (bit 0) 1"},
    {121, "15.5.1", "IOPM_BASE_PA", "a map that ends below the greatest physical address"},
    {122, "15.5.1", "MSRPM_BASE_PA", "a map that ends below the greatest physical address"},
    {123, "15.5.1", "GUEST_ASID", "an ASID other than 0"},
    {124, "15.21.10", "VINTR", "virtual NMIs only with the NMI intercept"},
    {130, "15.34", "NESTED_CONTROL", "no encrypted guest: this processor has no SEV"},
    {131, "15.25.4", "N_CR3", "bits above the physical-address width 0"},
    {132, "15.25.4", "G_PAT", "memory types that a PAT may hold"},
    {133, "15.25.4", "NESTED_CONTROL", "nested paging only where the host's CR0.PG is 1"},
    {134, "15.25.3", "NESTED_CONTROL", "no nested paging: this processor has none"},
    {140, "15.16.2", "TLB_CONTROL", "an encoding that is not reserved"},
    {141, "15.20", "EVENTINJ", "a type that is not reserved"},
    {142, "15.20", "EVENTINJ", "a vector that belongs to an exception"},
    {150, "15.29.4.1", "VINTR", "x2AVIC only with AVIC"},
    {151, "15.29.4.3", "AVIC_PHYSICAL_TABLE", "a last index of at most 255, with x2AVIC 511"},
    {152, "15.29.4.3", "AVIC_PHYSICAL_TABLE", "a table within the physical address space"},
    {153, "15.29.4.3", "AVIC_BACKING_PAGE", "a page within the physical address space"},
    {154, "15.29.4.3", "AVIC_LOGICAL_TABLE", "a table within the physical address space"},
};

inline constexpr Rule kUndefinedRules[] = {
    {201, "15.4", "EFER", "SVME 1"},
    {202, "15.4", "CR0", "PE 1"},
    {203, "15.4", "RFLAGS", "VM 0"},
    {204, "APM 3 VMMCALL", "VMMCALL intercept", "a guest whose VMCB intercepts VMMCALL"},
    {205, "15.27", "SKINIT", "another instruction: this processor has no SKINIT"},
};
inline constexpr Rule kProtectionRules[] = {
    {211, "15.4", "CPL", "privilege level 0"},
    {212, "15.5.1", "rAX", "an address that is a multiple of 4 KiB"},
    {213, "15.5.1", "rAX", "an address within the physical-address width"},
    {214, "15.5.1", "rAX", "an address of memory"},
    {215, "15.30.4", "VM_HSAVE_PA", "a host save area: an address other than 0"},
};

inline constexpr RuleGroup kRuleGroups[] = {
    {"guest at VMRUN", "VMEXIT_INVALID", kEntryRules},
    {"SVM instructions", "#UD", kUndefinedRules},
    {"SVM instructions", "#GP(0)", kProtectionRules},
};
static_assert(numbers_ascend(kRuleGroups));

}  // namespace hvsim::cpu::svm
