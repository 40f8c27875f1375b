#pragma once
// The control bits of a VMCB that the manual defines, and which of them this processor has. Source:
// AMD64 Architecture Programmer's Manual volume 2 (publication 24593, revision 3.40), table B-1.
#include "cpu/control.h"

namespace hvsim::cpu::svm {

inline constexpr Control kControlRegisterBits[] = {
    {0, "CR0", Support::functional}, {2, "CR2", Support::functional},
    {3, "CR3", Support::functional}, {4, "CR4", Support::functional},
    {8, "CR8", Support::functional},
};
inline constexpr Control kDebugRegisterBits[] = {
    {0, "DR0", Support::functional}, {1, "DR1", Support::functional},
    {2, "DR2", Support::functional}, {3, "DR3", Support::functional},
    {4, "DR4", Support::functional}, {5, "DR5", Support::functional},
    {6, "DR6", Support::functional}, {7, "DR7", Support::functional},
};
// Those that the core raises; an #MC, #CP or #HV never comes.
inline constexpr Control kExceptionBits[] = {
    {0, "#DE", Support::functional},  {1, "#DB", Support::functional},
    {3, "#BP", Support::functional},  {4, "#OF", Support::functional},
    {5, "#BR", Support::functional},  {6, "#UD", Support::functional},
    {7, "#NM", Support::functional},  {8, "#DF", Support::functional},
    {10, "#TS", Support::functional}, {11, "#NP", Support::functional},
    {12, "#SS", Support::functional}, {13, "#GP", Support::functional},
    {14, "#PF", Support::functional}, {16, "#MF", Support::functional},
    {17, "#AC", Support::functional},     {18, "#MC", Support::stored},
    {19, "#XF", Support::functional}, {21, "#CP", Support::stored},
    {28, "#HV", Support::stored},     {29, "#VC", Support::stored},
    {30, "#SX", Support::functional},
};
inline constexpr Control kMisc1Bits[] = {
    {0, "INTR", Support::functional},
    {1, "NMI", Support::functional},
    {2, "SMI", Support::functional},
    {3, "INIT", Support::functional},
    {4, "VINTR", Support::functional},
    {5, "CR0 writes but TS and MP", Support::functional},
    {6, "IDTR reads", Support::functional},
    {7, "GDTR reads", Support::functional},
    {8, "LDTR reads", Support::functional},
    {9, "TR reads", Support::functional},
    {10, "IDTR writes", Support::functional},
    {11, "GDTR writes", Support::functional},
    {12, "LDTR writes", Support::functional},
    {13, "TR writes", Support::functional},
    {14, "RDTSC", Support::functional},
    {15, "RDPMC", Support::functional},
    {16, "PUSHF", Support::functional},
    {17, "POPF", Support::functional},
    {18, "CPUID", Support::functional},
    {19, "RSM", Support::functional},
    {20, "IRET", Support::functional},
    {21, "INTn", Support::functional},
    {22, "INVD", Support::functional},
    {23, "PAUSE", Support::functional},
    {24, "HLT", Support::functional},
    {25, "INVLPG", Support::functional},
    {26, "INVLPGA", Support::functional},
    {27, "ports by IOPM", Support::functional},
    {28, "MSRs by MSRPM", Support::functional},
    {29, "task switches", Support::functional},
    {30, "FERR freeze", Support::stored},
    {31, "shutdown", Support::functional},
};
inline constexpr Control kMisc2Bits[] = {
    {0, "VMRUN", Support::functional},
    {1, "VMMCALL", Support::functional},
    {2, "VMLOAD", Support::functional},
    {3, "VMSAVE", Support::functional},
    {4, "STGI", Support::functional},
    {5, "CLGI", Support::functional},
    {6, "SKINIT", Support::stored},
    {7, "RDTSCP", Support::functional},
    {8, "ICEBP", Support::functional},
    {9, "WBINVD", Support::functional},
    {10, "MONITOR", Support::functional},
    {11, "MWAIT", Support::functional},
    {12, "MWAIT when armed", Support::functional},
    {13, "XSETBV", Support::functional},
    {14, "RDPRU", Support::stored},
    {15, "EFER writes, behind them", Support::stored},
    {16, "CR0 writes, behind them", Support::stored},
    {19, "CR3 writes, behind them", Support::stored},
    {20, "CR4 writes, behind them", Support::stored},
    {24, "CR8 writes, behind them", Support::stored},
};
inline constexpr Control kMisc3Bits[] = {
    {0, "INVLPGB", Support::stored},  {1, "illegal INVLPGB", Support::stored},
    {2, "INVPCID", Support::functional},  {3, "MCOMMIT", Support::stored},
    {4, "TLBSYNC", Support::stored},  {5, "bus lock", Support::stored},
    {6, "idle HLT", Support::stored},
};
inline constexpr Control kVintrBits[] = {
    {8, "V_IRQ", Support::functional},        {9, "VGIF", Support::functional},
    {11, "V_NMI", Support::functional},       {12, "V_NMI_MASK", Support::functional},
    {20, "V_IGN_TPR", Support::functional},   {24, "V_INTR_MASKING", Support::functional},
    {25, "VGIF enable", Support::functional}, {26, "V_NMI enable", Support::functional},
    {30, "x2AVIC enable", Support::functional},   {31, "AVIC enable", Support::functional},
};
inline constexpr Control kInterruptShadowBits[] = {
    {0, "interrupt shadow", Support::functional},
    {1, "GUEST_INTERRUPT_MASK", Support::stored},
};
inline constexpr Control kNestedBits[] = {
    {0, "nested paging", Support::functional},
    {1, "SEV", Support::absent},
    {2, "SEV-ES", Support::absent},
    {3, "guest-mode execute trap", Support::functional},
    {4, "supervisor shadow-stack check", Support::stored},
    {5, "transparent encryption", Support::stored},
    {6, "read-only guest page tables", Support::stored},
    {7, "INVLPGB and TLBSYNC", Support::stored},
};
inline constexpr Control kExtensionBits[] = {
    {0, "LBR virtualization", Support::functional},
    {1, "VMLOAD and VMSAVE virtualization", Support::functional},
    {2, "IBS virtualization", Support::stored},
    {3, "PMC virtualization", Support::stored},
};
inline constexpr Control kCleanBits[] = {
    {0, "intercepts", Support::functional},
    {1, "permission maps", Support::functional},
    {2, "ASID", Support::functional},
    {3, "TPR", Support::functional},
    {4, "nested paging", Support::functional},
    {5, "CRs", Support::functional},
    {6, "DRs", Support::functional},
    {7, "descriptor tables", Support::functional},
    {8, "segments", Support::functional},
    {9, "CR2", Support::functional},
    {10, "LBR", Support::stored},
    {11, "AVIC", Support::functional},
    {12, "CET", Support::stored},
};

inline constexpr ControlWord kControlWords[] = {
    {0x000, "INTERCEPT_CR_READS", "15.8", kControlRegisterBits},
    {0x002, "INTERCEPT_CR_WRITES", "15.8", kControlRegisterBits},
    {0x004, "INTERCEPT_DR_READS", "15.8", kDebugRegisterBits},
    {0x006, "INTERCEPT_DR_WRITES", "15.8", kDebugRegisterBits},
    {0x008, "INTERCEPT_EXCEPTIONS", "15.12", kExceptionBits},
    {0x00c, "INTERCEPT_MISC1", "15.9 to 15.13", kMisc1Bits},
    {0x010, "INTERCEPT_MISC2", "15.9", kMisc2Bits},
    {0x014, "INTERCEPT_MISC3", "15.9", kMisc3Bits},
    {0x060, "VINTR", "15.21", kVintrBits},
    {0x068, "INTERRUPT_SHADOW", "15.21.5", kInterruptShadowBits},
    {0x090, "NESTED_CONTROL", "15.25", kNestedBits},
    {0x0b8, "VIRTUAL_EXTENSIONS", "15.23, 15.33.2", kExtensionBits},
    {0x0c0, "CLEAN", "15.15.3", kCleanBits},
};

}  // namespace hvsim::cpu::svm
