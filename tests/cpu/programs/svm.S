// A hypervisor's first steps under SVM: instructions that are refused, world switches, GIF. RDI says
// which part runs. VMCB and maps lie in PAGES.
#include "machine.inc"
    .set VMCB, PAGES
    .set HSAVE, PAGES + 0x1000
    .set IOPM, PAGES + 0x2000
    .set MSRPM, PAGES + 0x5000
    .set GUEST_STACK, PAGES + 0x8000

start:
    cmp edi, 1
    je world_switches
    cmp edi, 2
    je interrupt_flag
    cmp edi, 3
    je branches
    cmp edi, 4
    je hostile

// --- 0: what is refused ---
    mov eax, VMCB
    TRY without_svme, vmrun
    TRY stgi_without_svme, stgi
    TRY vmmcall_in_host, vmmcall
    WRITE_MSR 0xc0010114, 0x10
    mov ecx, 0xc0000080
    rdmsr
    or eax, 0x1000
    TRY svme_while_disabled, wrmsr
    WRITE_MSR 0xc0010114, 0
    call enable
    mov eax, VMCB + 8
    TRY misaligned, vmrun
    movabs rax, 0x10000000000000
    TRY too_wide, vmload
    mov eax, 0xfed00000
    TRY no_memory, vmsave
    mov eax, VMCB
    TRY no_host_save_area, vmrun
    TRY no_skinit, skinit
    mov ecx, 0xc0010117
    xor edx, edx
    mov eax, HSAVE + 1
    TRY misaligned_host_save_area, wrmsr
    WRITE_MSR 0xc0010114, 8
    mov ecx, 0xc0010114
    xor edx, edx
    mov eax, 0x10
    wrmsr // ignored: locked
    rdmsr
    RESULT 0, rax
    FINISH

enable:
    mov ecx, 0xc0000080
    rdmsr
    or eax, 0x1000
    wrmsr
    ret

// VMCB of a guest that goes on like this program, at r12.
prepare:
    call enable
    WRITE_MSR 0xc0010117, HSAVE
    mov eax, VMCB
    vmsave
    mov dword ptr [VMCB + 0x010], 3     // VMRUN, VMMCALL
    mov qword ptr [VMCB + 0x040], IOPM
    mov qword ptr [VMCB + 0x048], MSRPM
    mov dword ptr [VMCB + 0x058], 1     // ASID
    mov word ptr [VMCB + 0x412], 0xa9b  // CS
    mov word ptr [VMCB + 0x422], 0xc93  // SS
    mov dword ptr [VMCB + 0x424], -1
    sgdt [VMCB + 0x900]
    sidt [VMCB + 0x910]
    mov ax, [VMCB + 0x900]
    mov [VMCB + 0x464], ax
    mov rax, [VMCB + 0x902]
    mov [VMCB + 0x468], rax
    mov ax, [VMCB + 0x910]
    mov [VMCB + 0x484], ax
    mov rax, [VMCB + 0x912]
    mov [VMCB + 0x488], rax
    mov word ptr [VMCB + 0x410], CODE64
    mov word ptr [VMCB + 0x420], DATA_FLAT
    mov ecx, 0xc0000080
    rdmsr
    mov [VMCB + 0x4d0], rax
    mov rax, cr4
    mov [VMCB + 0x548], rax
    mov rax, cr3
    mov [VMCB + 0x550], rax
    mov rax, cr0
    mov [VMCB + 0x558], rax
    mov qword ptr [VMCB + 0x560], 0x400
    mov dword ptr [VMCB + 0x568], 0xffff0ff0
    mov qword ptr [VMCB + 0x570], 2
    mov [VMCB + 0x578], r12
    mov qword ptr [VMCB + 0x5d8], GUEST_STACK
    ret

// --- 1: there and back ---
world_switches:
    lea r12, [rip + guest]
    call prepare
    mov ebx, 0x1111
    mov ebp, 0x2222
    mov eax, VMCB
before_vmrun:
    vmrun
after_vmrun:
    RESULT 0, rax           // the host's RAX is back,
    RESULT 1, rbx           // RBX is what the guest left
    mov rax, [VMCB + 0x070]
    RESULT 2, rax
    mov rax, [VMCB + 0x5f8]
    RESULT 3, rax           // the guest's RAX
    mov rax, [VMCB + 0x0c8]
    RESULT 4, rax           // next RIP
    mov rax, dr7
    RESULT 5, rax
    // An illegal VMCB.
    mov dword ptr [VMCB + 0x058], 0
    mov eax, VMCB
    vmrun
    mov rax, [VMCB + 0x070]
    RESULT 6, rax
    // CPUID intercepted, and #UD delivered by the guest's own IDT before it.
    mov dword ptr [VMCB + 0x058], 1
    mov dword ptr [VMCB + 0x00c], 1 << 18
    lea rax, [rip + guest_faults]
    mov [VMCB + 0x578], rax
    mov eax, VMCB
    vmrun
    mov rax, [VMCB + 0x070]
    RESULT 7, rax
    mov rax, [VMCB + 0x578]
    RESULT 8, rax
    // The same #UD intercepted.
    mov dword ptr [VMCB + 0x008], 1 << 6
    lea rax, [rip + guest_faults]
    mov [VMCB + 0x578], rax
    mov eax, VMCB
    vmrun
    mov rax, [VMCB + 0x070]
    RESULT 9, rax
    stgi
    FINISH
guest:
    mov eax, 0x3333
    mov ebx, 0x4444
guest_vmmcall:
    vmmcall
    hlt
guest_faults:
    TRY guest_ud, ud2
guest_cpuid:
    cpuid
    vmmcall

// --- 2: GIF holds interrupts; V_INTR_MASKING leaves the host's RFLAGS.IF in force ---
interrupt_flag:
    lea r12, [rip + quiet_guest]
    call prepare
    mov ebp, LOCAL_APIC
    mov dword ptr [rbp + 0xf0], 0x1ff
    clgi
    sti
    mov dword ptr [rbp + 0x310], 0
    mov dword ptr [rbp + 0x300], 0x40030 // to itself, vector 0x30
    nop
    nop
    mov rax, [LOG]
    RESULT 0, rax
    mov dword ptr [VMCB + 0x00c], 1             // INTR
    mov dword ptr [VMCB + 0x060], 1 << 24       // V_INTR_MASKING
    mov eax, VMCB
    vmrun
    mov rax, [VMCB + 0x070]
    RESULT 1, rax
    mov rax, [VMCB + 0x578]
    RESULT 2, rax                               // not an instruction was executed
    mov rax, [LOG]
    RESULT 3, rax
    stgi
after_stgi:
    mov rax, [LOG]
    RESULT 4, rax
    mov dword ptr [rbp + 0xb0], 0
    // A virtual interrupt of vector 0x31 once the guest sets IF, then VMMCALL.
    cli
    movabs rax, 0x31010f0100
    mov [VMCB + 0x060], rax
    lea rax, [rip + virtual_guest]
    mov [VMCB + 0x578], rax
    mov eax, VMCB
    vmrun
    mov rax, [VMCB + 0x070]
    RESULT 5, rax
    mov rax, [VMCB + 0x060]
    RESULT 6, rax
    mov rax, [LOG]
    RESULT 7, rax
    // A GIF of the guest's own: VMRUN leaves it alone, so V_IRQ waits for the guest's STGI.
    movabs rax, 0x32030f0100
    mov [VMCB + 0x060], rax
    mov dword ptr [VMCB + 0x00c], 0
    lea rax, [rip + gif_guest]
    mov [VMCB + 0x578], rax
    mov eax, VMCB
    vmrun
    mov rax, [VMCB + 0x060]
    RESULT 8, rax
    stgi
    FINISH
gif_guest:
    sti
    nop
    nop
    mov rax, [LOG]
    RESULT 9, rax
    stgi
behind_stgi:
    nop
    clgi
    vmmcall
quiet_guest:
    vmmcall
virtual_guest:
    nop
    sti
    nop
behind_shadow:
    cli
    vmmcall

// --- 4: a VMCB that the test spoils when it sees the OUT ---
hostile:
    lea r12, [rip + hostile_guest]
    call prepare
    out 0x80, al
    mov eax, VMCB
    vmrun
    stgi
    RESULT 0, rsp
    FINISH
hostile_guest:
    mov eax, 1
    cpuid
    pushfq
    popfq
    sti
    nop
    out 0x81, al
    vmmcall
    jmp hostile_guest

// --- 3: last-branch records ---
branches:
    WRITE_MSR 0x1d9, 1
recorded:
    jmp target
    nop
target:
    nop
    test eax, eax
    js start                // not taken
    WRITE_MSR 0x1d9, 0
    jmp 1f
1:  mov ecx, 0x1db
    rdmsr
    RESULT 0, rax
    mov ecx, 0x1dc
    rdmsr
    RESULT 1, rax
    FINISH
