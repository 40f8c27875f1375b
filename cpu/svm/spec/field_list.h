#pragma once
// The fields of the virtual machine control block. Source: AMD64 Architecture Programmer's Manual
// volume 2 (publication 24593, revision 3.40), appendix B. Nothing but macros: assembly files read
// them, too.

// Each segment register of the state save area: selector, attributes, limit, base.
#define HVSIM_VMCB_SEGMENT(X, name, offset)                    \
    X(name##_SELECTOR, std::uint16_t, 0x400 + (offset), "B-2") \
    X(name##_ATTRIB, std::uint16_t, 0x402 + (offset), "B-2")   \
    X(name##_LIMIT, std::uint32_t, 0x404 + (offset), "B-2")    \
    X(name##_BASE, std::uint64_t, 0x408 + (offset), "B-2")

// name, type, offset in the VMCB, table of appendix B.
#define HVSIM_VMCB_FIELDS(X)                               \
    X(INTERCEPT_CR_READS, std::uint16_t, 0x000, "B-1")     \
    X(INTERCEPT_CR_WRITES, std::uint16_t, 0x002, "B-1")    \
    X(INTERCEPT_DR_READS, std::uint16_t, 0x004, "B-1")     \
    X(INTERCEPT_DR_WRITES, std::uint16_t, 0x006, "B-1")    \
    X(INTERCEPT_EXCEPTIONS, std::uint32_t, 0x008, "B-1")   \
    X(INTERCEPT_MISC1, std::uint32_t, 0x00c, "B-1")        \
    X(INTERCEPT_MISC2, std::uint32_t, 0x010, "B-1")        \
    X(INTERCEPT_MISC3, std::uint32_t, 0x014, "B-1")        \
    X(PAUSE_FILTER_THRESHOLD, std::uint16_t, 0x03c, "B-1") \
    X(PAUSE_FILTER_COUNT, std::uint16_t, 0x03e, "B-1")     \
    X(IOPM_BASE_PA, std::uint64_t, 0x040, "B-1")           \
    X(MSRPM_BASE_PA, std::uint64_t, 0x048, "B-1")          \
    X(TSC_OFFSET, std::uint64_t, 0x050, "B-1")             \
    X(GUEST_ASID, std::uint32_t, 0x058, "B-1")             \
    X(TLB_CONTROL, std::uint8_t, 0x05c, "B-1")             \
    X(VINTR, std::uint64_t, 0x060, "B-1")                  \
    X(INTERRUPT_SHADOW, std::uint64_t, 0x068, "B-1")       \
    X(EXITCODE, std::uint64_t, 0x070, "B-1")               \
    X(EXITINFO1, std::uint64_t, 0x078, "B-1")              \
    X(EXITINFO2, std::uint64_t, 0x080, "B-1")              \
    X(EXITINTINFO, std::uint64_t, 0x088, "B-1")            \
    X(NESTED_CONTROL, std::uint64_t, 0x090, "B-1")         \
    X(AVIC_APIC_BAR, std::uint64_t, 0x098, "B-1")          \
    X(GHCB_PA, std::uint64_t, 0x0a0, "B-1")                \
    X(EVENTINJ, std::uint64_t, 0x0a8, "B-1")               \
    X(N_CR3, std::uint64_t, 0x0b0, "B-1")                  \
    X(VIRTUAL_EXTENSIONS, std::uint64_t, 0x0b8, "B-1")     \
    X(CLEAN, std::uint32_t, 0x0c0, "B-1")                  \
    X(NRIP, std::uint64_t, 0x0c8, "B-1")                   \
    X(INSTRUCTION_BYTE_COUNT, std::uint8_t, 0x0d0, "B-1")  \
    X(AVIC_BACKING_PAGE, std::uint64_t, 0x0e0, "B-1")      \
    X(AVIC_LOGICAL_TABLE, std::uint64_t, 0x0f0, "B-1")     \
    X(AVIC_PHYSICAL_TABLE, std::uint64_t, 0x0f8, "B-1")    \
    X(VMSA_POINTER, std::uint64_t, 0x108, "B-1")           \
    HVSIM_VMCB_SEGMENT(X, ES, 0x00)                        \
    HVSIM_VMCB_SEGMENT(X, CS, 0x10)                        \
    HVSIM_VMCB_SEGMENT(X, SS, 0x20)                        \
    HVSIM_VMCB_SEGMENT(X, DS, 0x30)                        \
    HVSIM_VMCB_SEGMENT(X, FS, 0x40)                        \
    HVSIM_VMCB_SEGMENT(X, GS, 0x50)                        \
    HVSIM_VMCB_SEGMENT(X, GDTR, 0x60)                      \
    HVSIM_VMCB_SEGMENT(X, LDTR, 0x70)                      \
    HVSIM_VMCB_SEGMENT(X, IDTR, 0x80)                      \
    HVSIM_VMCB_SEGMENT(X, TR, 0x90)                        \
    X(CPL, std::uint8_t, 0x4cb, "B-2")                     \
    X(EFER, std::uint64_t, 0x4d0, "B-2")                   \
    X(CR4, std::uint64_t, 0x548, "B-2")                    \
    X(CR3, std::uint64_t, 0x550, "B-2")                    \
    X(CR0, std::uint64_t, 0x558, "B-2")                    \
    X(DR7, std::uint64_t, 0x560, "B-2")                    \
    X(DR6, std::uint64_t, 0x568, "B-2")                    \
    X(RFLAGS, std::uint64_t, 0x570, "B-2")                 \
    X(RIP, std::uint64_t, 0x578, "B-2")                    \
    X(RSP, std::uint64_t, 0x5d8, "B-2")                    \
    X(S_CET, std::uint64_t, 0x5e0, "B-2")                  \
    X(SSP, std::uint64_t, 0x5e8, "B-2")                    \
    X(ISST_ADDR, std::uint64_t, 0x5f0, "B-2")              \
    X(RAX, std::uint64_t, 0x5f8, "B-2")                    \
    X(STAR, std::uint64_t, 0x600, "B-2")                   \
    X(LSTAR, std::uint64_t, 0x608, "B-2")                  \
    X(CSTAR, std::uint64_t, 0x610, "B-2")                  \
    X(SFMASK, std::uint64_t, 0x618, "B-2")                 \
    X(KERNEL_GS_BASE, std::uint64_t, 0x620, "B-2")         \
    X(SYSENTER_CS, std::uint64_t, 0x628, "B-2")            \
    X(SYSENTER_ESP, std::uint64_t, 0x630, "B-2")           \
    X(SYSENTER_EIP, std::uint64_t, 0x638, "B-2")           \
    X(CR2, std::uint64_t, 0x640, "B-2")                    \
    X(G_PAT, std::uint64_t, 0x668, "B-2")                  \
    X(DBGCTL, std::uint64_t, 0x670, "B-2")                 \
    X(BR_FROM, std::uint64_t, 0x678, "B-2")                \
    X(BR_TO, std::uint64_t, 0x680, "B-2")                  \
    X(LAST_EXCEPTION_FROM, std::uint64_t, 0x688, "B-2")    \
    X(LAST_EXCEPTION_TO, std::uint64_t, 0x690, "B-2")      \
    X(DEBUG_EXTENDED_CONFIG, std::uint64_t, 0x698, "B-2")  \
    X(SPEC_CTRL, std::uint64_t, 0x6e0, "B-2")
