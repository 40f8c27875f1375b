// A host in 32-bit paging without PAE has nested tables of two levels, with 4 MiB pages where its
// CR4.PSE is 1 (APM 2 15.25.1, 5.2.1). Results: exit code, what the guest has read through a table
// and in a 4 MiB page, then code, EXITINFO1 and EXITINFO2 of a nested page fault.
//
// result: 0=0x81 1=0x1234 2=0x5678 3=0x400 4=0x100000004 5=0x49010
#include "host.inc"
    .set DIRECTORY, SPARE
    .set TABLE, SPARE + 0x1000
    .set HOST_DIRECTORY, SPARE + 0x2000
.macro KEEP index, field
    mov eax, [\field]
    mov [DATA + \index * 8], eax
    mov eax, [\field + 4]
    mov [DATA + \index * 8 + 4], eax
.endm
start:
    call prepare
    SET32 VMCB_NESTED_CONTROL, 1
    SET VMCB_N_CR3, DIRECTORY
    SET VMCB_EFER, 0x1000
    SET VMCB_CR0, 0x11
    SET VMCB_CR4, 0
    mov word ptr [VMCB_CS_ATTRIB], 0xc9b
    SET32 VMCB_CS_LIMIT, -1
    mov edi, TABLE                          // one to one, but for two pages
    mov eax, 7
1:  mov [rdi], eax
    add edi, 4
    add eax, 0x1000
    cmp edi, TABLE + 0x1000
    jb 1b
    mov dword ptr [TABLE + 0x48 * 4], 0x4a007
    mov dword ptr [TABLE + 0x49 * 4], 0
    mov dword ptr [DIRECTORY], TABLE + 7
    mov dword ptr [DIRECTORY + 4], 0x87
    mov dword ptr [HOST_DIRECTORY], 0x87
    mov dword ptr [0x4a000], 0x1234
    mov dword ptr [0x4b000], 0x5678
    push CODE32
    lea rax, [rip + legacy]
    push rax
    .byte 0x48, 0xcb                        // to compatibility mode
    .code32
legacy:
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    mov ecx, 0xc0000080
    rdmsr
    and eax, ~0x100
    wrmsr
    mov eax, 0x10                           // PSE
    mov cr4, eax
    mov eax, HOST_DIRECTORY
    mov cr3, eax
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    mov eax, VMCB
    vmrun
    KEEP 0, VMCB_EXITCODE
    mov dword ptr [VMCB_RIP], offset absent
    mov eax, VMCB
    vmrun
    KEEP 3, VMCB_EXITCODE
    KEEP 4, VMCB_EXITINFO1
    KEEP 5, VMCB_EXITINFO2
    FINISH
guest:
    mov eax, [0x48000]
    mov [DATA + 8], eax
    mov eax, [0x44b000]
    mov [DATA + 16], eax
    vmmcall
absent:
    mov eax, [0x49010]
    FINISH
