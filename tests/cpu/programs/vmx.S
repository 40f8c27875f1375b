// A hypervisor's first steps under VMX: instructions that fail or are refused, entries and exits of
// a guest that goes on like this program. RDI says which part runs. Regions lie in PAGES.
#include "machine.inc"
    .set VMXON, PAGES
    .set VMCS, PAGES + 0x1000
    .set OTHER, PAGES + 0x2000
    .set MSRS, PAGES + 0x3000
    .set POINTER, PAGES + 0x4000
    .set HOST_STACK, PAGES + 0x6000
    .set GUEST_STACK, PAGES + 0x8000
    .set VIRTUAL_APIC, PAGES + 0x9000

start:
    cmp edi, 1
    je world_switches
    cmp edi, 2
    je controls

// Stores CF and ZF of what came before (bits 0 and 6) as a result.
.macro FLAGS index
    pushfq
    pop rax
    and eax, 0x41
    RESULT \index, rax
.endm
.macro SET_FIELD encoding, value:vararg
    mov edx, \encoding
    movabs rax, offset \value
    vmwrite rdx, rax
.endm
.macro SET_FIELD_RAX encoding
    mov edx, \encoding
    vmwrite rdx, rax
.endm
.macro FIELD index, encoding
    mov edx, \encoding
    vmread rax, rdx
    RESULT \index, rax
.endm
.macro POINT_AT address
    movabs rax, offset \address
    mov [POINTER], rax
.endm

// --- 0: refused, or failed ---
    POINT_AT VMXON
    TRY without_vmxe, vmxon [POINTER]
    mov rax, cr4
    or eax, 0x2000
    mov cr4, rax
    mov rax, cr0
    or eax, 0x20
    mov cr0, rax
    TRY unlocked, vmxon [POINTER]
    WRITE_MSR 0x3a, 5
    TRY outside_operation, vmptrst [POINTER]
    call read_revision
    mov dword ptr [VMXON], 0
    vmxon [POINTER]                 // no revision
    FLAGS 0
    mov [VMXON], r13d
    mov [VMCS], r13d
    POINT_AT VMXON + 8
    vmxon [POINTER]
    FLAGS 1
    POINT_AT VMXON
    vmxon [POINTER]
    FLAGS 2
    vmxon [POINTER]                 // again, without a current VMCS
    FLAGS 3
    mov rax, cr4
    and eax, ~0x2000
    TRY clear_vmxe, mov cr4, rax
    TRY no_vm_function, vmfunc
    vmlaunch                        // no current VMCS
    FLAGS 4
    POINT_AT VMCS
    vmclear [POINTER]
    FLAGS 5
    vmptrld [POINTER]
    FLAGS 6
    mov qword ptr [POINTER + 8], 0
    vmptrst [POINTER + 8]
    mov rax, [POINTER + 8]
    RESULT 7, rax
    POINT_AT VMXON
    vmptrld [POINTER]
    FIELD 8, 0x4400
    vmclear [POINTER]
    FIELD 9, 0x4400
    POINT_AT OTHER
    vmptrld [POINTER]               // its revision is 0
    FIELD 10, 0x4400
    mov edx, 0x7e00
    vmread rax, rdx
    FLAGS 11
    FIELD 12, 0x4400
    vmlaunch                        // all controls 0
    FLAGS 13
    FIELD 14, 0x4400
    vmresume
    FIELD 15, 0x4400
    vmcall
    FIELD 16, 0x4400
    mov eax, 3
    invept rax, [POINTER]
    FIELD 17, 0x4400
    mov qword ptr [POINTER], 0
    mov qword ptr [POINTER + 8], 0
    mov eax, 1
    invvpid rax, [POINTER]          // VPID 0
    FLAGS 18
    mov eax, 2
    invvpid rax, [POINTER]
    FLAGS 19
    POINT_AT VMXON
    vmxon [POINTER]
    FIELD 20, 0x4400
    vmxoff
    FLAGS 21
    TRY after_vmxoff, vmxoff
    FINISH

read_revision:
    mov ecx, 0x480
    rdmsr
    and eax, 0x7fffffff
    mov r13d, eax
    ret

// Must-be-one bits of the control MSR rcx, or ebx.
.macro SET_CONTROL encoding, msr, bits
    mov ecx, \msr
    rdmsr
    or eax, \bits
    SET_FIELD_RAX \encoding
.endm

// VMX operation, and a VMCS whose guest starts at r12 and whose host at r11.
prepare:
    mov rax, cr4
    or eax, 0x2000
    mov cr4, rax
    mov rax, cr0
    or eax, 0x20
    mov cr0, rax
    WRITE_MSR 0x3a, 5
    call read_revision
    mov [VMXON], r13d
    mov [VMCS], r13d
    POINT_AT VMXON
    vmxon [POINTER]
    POINT_AT VMCS
    vmclear [POINTER]
    vmptrld [POINTER]
    SET_CONTROL 0x4000, 0x48d, 0
    SET_CONTROL 0x4002, 0x48e, 0x10000080   // HLT exiting, MSR bitmaps: no MSR exits
    SET_FIELD 0x2004, PAGES + 0xa000
    SET_CONTROL 0x400c, 0x48f, 0x300200     // 64-bit host; EFER saved and loaded
    SET_CONTROL 0x4012, 0x490, 0x8200       // IA-32e mode guest, EFER loaded
    SET_FIELD 0x2800, -1
    mov rax, cr0
    SET_FIELD_RAX 0x6800
    SET_FIELD_RAX 0x6c00
    mov rax, cr3
    SET_FIELD_RAX 0x6802
    SET_FIELD_RAX 0x6c02
    mov rax, cr4
    SET_FIELD_RAX 0x6804
    SET_FIELD_RAX 0x6c04
    mov ecx, 0xc0000080
    rdmsr
    SET_FIELD_RAX 0x2806
    SET_FIELD_RAX 0x2c02
    SET_FIELD 0x0802, CODE64
    SET_FIELD 0x0c02, CODE64
    .irp field, 0x0800, 0x0804, 0x0806, 0x0808, 0x080a, 0x0c00, 0x0c04, 0x0c06, 0x0c08, 0x0c0a
    SET_FIELD \field, DATA_FLAT
    .endr
    SET_FIELD 0x080e, TASK
    SET_FIELD 0x0c0c, TASK
    SET_FIELD 0x4816, 0xa09b
    .irp field, 0x4814, 0x4818, 0x481a, 0x481c, 0x481e
    SET_FIELD \field, 0xc093
    .endr
    SET_FIELD 0x4820, 0x10000
    SET_FIELD 0x4822, 0x8b
    .irp field, 0x4800, 0x4802, 0x4804, 0x4806, 0x4808, 0x480a
    SET_FIELD \field, 0xffffffff
    .endr
    SET_FIELD 0x480e, TSS_LIMIT
    SET_FIELD 0x6814, TSS
    SET_FIELD 0x6c0a, TSS
    SET_FIELD 0x6816, GDT
    SET_FIELD 0x6c0c, GDT
    SET_FIELD 0x4810, GDT_LIMIT
    SET_FIELD 0x6818, IDT
    SET_FIELD 0x6c0e, IDT
    SET_FIELD 0x4812, IDT_LIMIT
    SET_FIELD 0x6820, 2
    SET_FIELD 0x681c, GUEST_STACK
    SET_FIELD 0x6c14, HOST_STACK
    mov rax, r12
    SET_FIELD_RAX 0x681e
    mov rax, r11
    SET_FIELD_RAX 0x6c16
    ret

// --- 1: there and back; MSR areas ---
world_switches:
    lea r12, [rip + guest]
    lea r11, [rip + first_exit]
    call prepare
    mov dword ptr [MSRS], 0xc0000082        // entry: LSTAR; exit stores and loads it
    mov qword ptr [MSRS + 8], 0x1234
    mov dword ptr [MSRS + 16], 0xc0000082
    mov dword ptr [MSRS + 32], 0xc0000082
    mov qword ptr [MSRS + 40], 0x5678
    SET_FIELD 0x200a, MSRS
    SET_FIELD 0x4014, 1
    SET_FIELD 0x2006, MSRS + 16
    SET_FIELD 0x400e, 1
    SET_FIELD 0x2008, MSRS + 32
    SET_FIELD 0x4010, 1
    mov ebx, 0x1111
    vmlaunch
    RESULT 0, rbp                           // not reached
    FINISH
guest:
    mov ebx, 0x2222
    mov ecx, 0xc0000082
    rdmsr
    mov esi, eax
    stc
guest_cpuid:
    cpuid
guest_vmclear:
    vmclear [rsp + rbx * 2 + 0x40]
guest_vmread:
    vmread r9, r10
    mov eax, 0x80
    int 0x40
guest_hlt:
    hlt
first_exit:
    RESULT 1, rbx
    RESULT 2, rsi
    RESULT 3, rsp
    FIELD 4, 0x4402
    FIELD 5, 0x681e
    FIELD 6, 0x440c
    FIELD 7, 0x6820
    mov ecx, 0xc0000082
    rdmsr
    RESULT 8, rax                           // the host's by the exit's area
    mov rax, [MSRS + 24]
    RESULT 9, rax                           // the guest's, stored
    sgdt [POINTER]
    movzx eax, word ptr [POINTER]
    RESULT 10, rax
    mov rax, dr7
    RESULT 11, rax
    vmlaunch                                // it is launched
    FIELD 12, 0x4400
    lea rax, [rip + second_exit]
    SET_FIELD_RAX 0x6c16
    lea rax, [rip + guest_vmclear]
    SET_FIELD_RAX 0x681e
    vmresume
second_exit:
    FIELD 13, 0x4402
    FIELD 14, 0x6400
    FIELD 15, 0x440e
    lea rax, [rip + third_exit]
    SET_FIELD_RAX 0x6c16
    lea rax, [rip + guest_vmread]
    SET_FIELD_RAX 0x681e
    vmresume
third_exit:
    FIELD 16, 0x4402
    FIELD 17, 0x440e
    // Guest state that is refused, then an MSR that no entry loads.
    SET_FIELD 0x6820, 0
    lea rax, [rip + refused_state]
    SET_FIELD_RAX 0x6c16
    vmresume
refused_state:
    FIELD 18, 0x4402
    SET_FIELD 0x6820, 2
    mov dword ptr [MSRS], 0xc0000100
    lea rax, [rip + refused_msr]
    SET_FIELD_RAX 0x6c16
    vmresume
refused_msr:
    FIELD 19, 0x4402
    FIELD 20, 0x6400
    // VMCLEAR writes everything to the region; a copy of it goes on.
    POINT_AT VMCS
    vmclear [POINTER]
    mov esi, VMCS
    mov edi, OTHER
    mov ecx, 512
    rep movsq
    POINT_AT OTHER
    vmptrld [POINTER]
    SET_FIELD 0x4014, 0
    lea rax, [rip + last_exit]
    SET_FIELD_RAX 0x6c16
    lea rax, [rip + guest_hlt]
    SET_FIELD_RAX 0x681e
    vmlaunch
last_exit:
    FIELD 21, 0x4402
    vmxoff
    FINISH

// --- 2: controls that make exits of their own ---
controls:
    lea r12, [rip + stepping_guest]
    lea r11, [rip + stepped]
    call prepare
    SET_CONTROL 0x4002, 0x48e, 0x08000080   // monitor trap flag
    vmlaunch
stepping_guest:
    inc ebx
behind_inc:
    nop
    hlt
stepped:
    FIELD 0, 0x4402
    FIELD 1, 0x681e
    // The preemption timer at 0 exits before an instruction.
    SET_CONTROL 0x4002, 0x48e, 0x80
    SET_CONTROL 0x4000, 0x48d, 0x40
    SET_FIELD 0x482e, 0
    lea rax, [rip + timed]
    SET_FIELD_RAX 0x6c16
    vmresume
timed:
    FIELD 2, 0x4402
    FIELD 3, 0x681e
    // It counts down while the guest runs.
    SET_FIELD 0x482e, 20000
    lea rax, [rip + timed_later]
    SET_FIELD_RAX 0x6c16
    lea rax, [rip + endless]
    SET_FIELD_RAX 0x681e
    vmresume
endless:
    jmp endless
timed_later:
    FIELD 4, 0x4402
    FIELD 5, 0x681e
    SET_CONTROL 0x4000, 0x48d, 0
    // An interrupt window opens behind the shadow of STI.
    SET_CONTROL 0x4002, 0x48e, 0x84
    lea rax, [rip + window]
    SET_FIELD_RAX 0x6c16
    lea rax, [rip + closed_guest]
    SET_FIELD_RAX 0x681e
    vmresume
closed_guest:
    nop
    sti
    nop
behind_sti:
    hlt
window:
    FIELD 6, 0x4402
    FIELD 7, 0x681e
    // TPR shadow: MOV to CR8 reaches the virtual-APIC page, below the threshold it exits behind it.
    SET_CONTROL 0x4002, 0x48e, 0x200080
    SET_FIELD 0x2012, VIRTUAL_APIC
    SET_FIELD 0x401c, 3
    mov dword ptr [VIRTUAL_APIC + 0x80], 0x50
    SET_FIELD 0x6820, 2
    lea rax, [rip + below_threshold]
    SET_FIELD_RAX 0x6c16
    lea rax, [rip + shadow_guest]
    SET_FIELD_RAX 0x681e
    vmresume
shadow_guest:
    mov rsi, cr8
    mov eax, 2
    mov cr8, rax
behind_cr8:
    hlt
below_threshold:
    RESULT 8, rsi
    FIELD 9, 0x4402
    FIELD 10, 0x681e
    mov eax, [VIRTUAL_APIC + 0x80]
    RESULT 11, rax
    mov rax, cr8
    RESULT 12, rax
    vmxoff
    FINISH
