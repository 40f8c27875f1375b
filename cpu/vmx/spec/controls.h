#pragma once
// The control bits of a VMCS that the manual defines, and which of them this processor has. Source:
// Intel SDM volume 3C (order 332831-083), 25.6 to 25.8. What a processor allows is in
// cpu/vmx/capabilities.cpp; a test holds the two against each other.
#include "cpu/control.h"

namespace hvsim::cpu::vmx {

inline constexpr Control kPinBits[] = {
    {0, "external-interrupt exiting", Support::functional},
    {3, "NMI exiting", Support::functional},
    {5, "virtual NMIs", Support::functional},
    {6, "activate VMX-preemption timer", Support::functional},
    {7, "process posted interrupts", Support::functional},
};
inline constexpr Control kPrimaryBits[] = {
    {2, "interrupt-window exiting", Support::functional},
    {3, "use TSC offsetting", Support::functional},
    {7, "HLT exiting", Support::functional},
    {9, "INVLPG exiting", Support::functional},
    {10, "MWAIT exiting", Support::functional},
    {11, "RDPMC exiting", Support::functional},
    {12, "RDTSC exiting", Support::functional},
    {15, "CR3-load exiting", Support::functional},
    {16, "CR3-store exiting", Support::functional},
    {17, "activate tertiary controls", Support::absent},
    {19, "CR8-load exiting", Support::functional},
    {20, "CR8-store exiting", Support::functional},
    {21, "use TPR shadow", Support::functional},
    {22, "NMI-window exiting", Support::functional},
    {23, "MOV-DR exiting", Support::functional},
    {24, "unconditional I/O exiting", Support::functional},
    {25, "use I/O bitmaps", Support::functional},
    {27, "monitor trap flag", Support::functional},
    {28, "use MSR bitmaps", Support::functional},
    {29, "MONITOR exiting", Support::functional},
    {30, "PAUSE exiting", Support::functional},
    {31, "activate secondary controls", Support::functional},
};
inline constexpr Control kSecondaryBits[] = {
    {0, "virtualize APIC accesses", Support::functional},
    {1, "enable EPT", Support::functional},
    {2, "descriptor-table exiting", Support::functional},
    {3, "enable RDTSCP", Support::functional},
    {4, "virtualize x2APIC mode", Support::functional},
    {5, "enable VPID", Support::functional},
    {6, "WBINVD exiting", Support::functional},
    {7, "unrestricted guest", Support::functional},
    {8, "APIC-register virtualization", Support::functional},
    {9, "virtual-interrupt delivery", Support::functional},
    {10, "PAUSE-loop exiting", Support::functional},
    {11, "RDRAND exiting", Support::absent},
    {12, "enable INVPCID", Support::functional},
    {13, "enable VM functions", Support::functional},
    {14, "VMCS shadowing", Support::functional},
    {15, "enable ENCLS exiting", Support::absent},
    {16, "RDSEED exiting", Support::absent},
    {17, "enable PML", Support::functional},
    {18, "EPT-violation #VE", Support::absent},
    {19, "conceal VMX from PT", Support::absent},
    {20, "enable XSAVES/XRSTORS", Support::absent},
    {21, "PASID translation", Support::absent},
    {22, "mode-based execute control for EPT", Support::functional},
    {23, "sub-page write permissions for EPT", Support::absent},
    {24, "Intel PT uses guest physical addresses", Support::absent},
    {25, "use TSC scaling", Support::functional},
    {26, "enable user wait and pause", Support::absent},
    {27, "enable PCONFIG", Support::absent},
    {28, "enable ENCLV exiting", Support::absent},
    {30, "VMM bus-lock detection", Support::absent},
    {31, "instruction timeout", Support::absent},
};
inline constexpr Control kExitBits[] = {
    {2, "save debug controls", Support::functional},
    {9, "host address-space size", Support::functional},
    {12, "load IA32_PERF_GLOBAL_CTRL", Support::absent},
    {15, "acknowledge interrupt on exit", Support::functional},
    {18, "save IA32_PAT", Support::functional},
    {19, "load IA32_PAT", Support::functional},
    {20, "save IA32_EFER", Support::functional},
    {21, "load IA32_EFER", Support::functional},
    {22, "save VMX-preemption timer value", Support::functional},
    {23, "clear IA32_BNDCFGS", Support::absent},
    {24, "conceal VMX from PT", Support::absent},
    {25, "clear IA32_RTIT_CTL", Support::absent},
    {26, "clear IA32_LBR_CTL", Support::absent},
    {27, "clear UINV", Support::absent},
    {28, "load CET state", Support::absent},
    {29, "load PKRS", Support::absent},
    {30, "save IA32_PERF_GLOBAL_CTL", Support::absent},
    {31, "activate secondary controls", Support::absent},
};
inline constexpr Control kEntryBits[] = {
    {2, "load debug controls", Support::functional},
    {9, "IA-32e mode guest", Support::functional},
    {10, "entry to SMM", Support::absent},
    {11, "deactivate dual-monitor treatment", Support::absent},
    {13, "load IA32_PERF_GLOBAL_CTRL", Support::absent},
    {14, "load IA32_PAT", Support::functional},
    {15, "load IA32_EFER", Support::functional},
    {16, "load IA32_BNDCFGS", Support::absent},
    {17, "conceal VMX from PT", Support::absent},
    {18, "load IA32_RTIT_CTL", Support::absent},
    {19, "load UINV", Support::absent},
    {20, "load CET state", Support::absent},
    {21, "load guest IA32_LBR_CTL", Support::absent},
    {22, "load PKRS", Support::absent},
};
inline constexpr Control kFunctionBits[] = {
    {0, "EPTP switching", Support::functional},
};

inline constexpr ControlWord kControlWords[] = {
    {0x4000, "PIN_BASED_CONTROLS", "25.6.1", kPinBits},
    {0x4002, "PRIMARY_CONTROLS", "25.6.2", kPrimaryBits},
    {0x401e, "SECONDARY_CONTROLS", "25.6.2", kSecondaryBits},
    {0x400c, "EXIT_CONTROLS", "25.7.1", kExitBits},
    {0x4012, "ENTRY_CONTROLS", "25.8.1", kEntryBits},
    {0x2018, "VM_FUNCTION_CONTROLS", "25.6.14", kFunctionBits},
};

}  // namespace hvsim::cpu::vmx
