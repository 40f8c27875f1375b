// A program that is the host: VMXON, a VMCS by VMWRITE, and a guest whose EPT the test changes at the
// OUTs. Between them nothing but VMX instructions.
#include "machine.inc"

    .set VMXON_REGION, 0x50000
    .set VMCS, 0x51000
    .set EPTP, 0x200000 + 0x1e          // write-back, four levels; the test's tables
    .set EXIT_REASON, 0x4402
    .set PRIMARY_CONTROLS, 0x4002
    .set GUEST_RIP, 0x681e

start:
    mov ecx, 0x3a
    xor edx, edx
    mov eax, 5                          // IA32_FEATURE_CONTROL: VMX, locked
    wrmsr
    mov rax, cr4
    or eax, 1 << 13
    mov cr4, rax
    mov ecx, 0x480
    rdmsr
    mov [VMXON_REGION], eax
    mov [VMCS], eax
    vmxon [vmxon_pointer]
    jbe failed
    vmclear [vmcs_pointer]
    jbe failed
    vmptrld [vmcs_pointer]
    jbe failed
    // Controls: what must be one, and the wanted bits.
    mov esi, offset controls
1:  mov ecx, [rsi]
    rdmsr
    or eax, [rsi + 4]
    mov ebx, [rsi + 8]
    vmwrite rbx, rax
    jbe failed
    add esi, 12
    cmp esi, offset controls_end
    jb 1b
    mov esi, offset fields
1:  mov rbx, [rsi]
    mov rax, [rsi + 8]
    vmwrite rbx, rax
    jbe failed
    add esi, 16
    cmp esi, offset fields_end
    jb 1b
    mov rax, cr0
    mov ebx, 0x6800
    vmwrite rbx, rax
    mov ebx, 0x6c00
    vmwrite rbx, rax
    mov rax, cr4
    mov ebx, 0x6804
    vmwrite rbx, rax
    mov ebx, 0x6c04
    vmwrite rbx, rax
    mov ecx, 0xc0000080
    rdmsr
    mov ebx, 0x2806
    vmwrite rbx, rax
    mov ebx, 0x2c02
    vmwrite rbx, rax

    mov r12d, offset read_pages
    call run_guest
    out 0x50, al                        // the test moves a page
    call run_guest
    out 0x51, al
    mov eax, 1
    invvpid rax, [vpid_descriptor]      // not of guest-physical addresses
    jbe failed
    call run_guest
    out 0x52, al
    mov eax, 1
    invept rax, [other_eptp]            // of other tables
    jbe failed
    call run_guest
    out 0x53, al
    mov eax, 1
    invept rax, [eptp]
    jbe failed
    call run_guest
    out 0x54, al                        // and back
    mov eax, 2
    invept rax, [eptp]
    jbe failed
    call run_guest
    out 0x55, al
    // A control changes from the next entry on.
    mov r12d, offset read_counter
    call run_guest
    out 0x56, al
    mov ebx, PRIMARY_CONTROLS
    vmread rax, rbx
    or eax, 1 << 12                     // RDTSC exiting
    vmwrite rbx, rax
    call run_guest
    out 0x57, al
    vmxoff
    FINISH
failed:
    pushfq
    pop rax
    RESULT 30, rax
    FINISH

// Enters the guest at R12; the exit's reason in EAX.
run_guest:
    mov ebx, GUEST_RIP
    vmwrite rbx, r12
    mov ebx, 0x6c14
    vmwrite rbx, rsp
    cmp byte ptr [launched], 0
    jne 1f
    mov byte ptr [launched], 1
    vmlaunch
    jmp failed
1:  vmresume
    jmp failed
exited:
    mov ebx, EXIT_REASON
    vmread rax, rbx
    ret

// The guest.
read_pages:
    mov esi, PAGES
    mov edi, DATA
    mov ecx, 16
1:  mov rax, [rsi]
    mov [rdi], rax
    add esi, 0x1000
    add edi, 8
    loop 1b
    vmcall
read_counter:
    rdtsc
    vmcall

    .balign 16
vpid_descriptor: .quad 1, 0
eptp: .quad EPTP, 0
other_eptp: .quad EPTP + 0x1000, 0
vmxon_pointer: .quad VMXON_REGION
vmcs_pointer: .quad VMCS
launched: .byte 0
    .balign 4
controls:                               // capability MSR, wanted bits, field
    .long 0x48d, 0, 0x4000
    .long 0x48e, 1 << 31, PRIMARY_CONTROLS
    .long 0x48b, 1 << 1 | 1 << 5, 0x401e        // EPT, VPID
    .long 0x48f, 1 << 9 | 1 << 21, 0x400c       // 64-bit host, load EFER
    .long 0x490, 1 << 9 | 1 << 15, 0x4012       // IA-32e guest, load EFER
controls_end:
    .balign 8
fields:
    .quad 0x0000, 1, 0x201a, EPTP, 0x2800, -1
    // Guest: selectors, limits, access rights, bases of ES, CS, SS, DS, FS, GS, LDTR, TR.
    .quad 0x0800, DATA_FLAT, 0x0802, CODE64, 0x0804, DATA_FLAT, 0x0806, DATA_FLAT
    .quad 0x0808, DATA_FLAT, 0x080a, DATA_FLAT, 0x080e, TASK
    .quad 0x4800, 0xffffffff, 0x4802, 0xffffffff, 0x4804, 0xffffffff, 0x4806, 0xffffffff
    .quad 0x4808, 0xffffffff, 0x480a, 0xffffffff, 0x480e, TSS_LIMIT
    .quad 0x4810, GDT_LIMIT, 0x4812, IDT_LIMIT
    .quad 0x4814, 0xc093, 0x4816, 0xa09b, 0x4818, 0xc093, 0x481a, 0xc093
    .quad 0x481c, 0xc093, 0x481e, 0xc093, 0x4820, 0x10000, 0x4822, 0x8b
    .quad 0x6814, TSS, 0x6816, GDT, 0x6818, IDT
    .quad 0x6802, PML4, 0x681a, 0x400, 0x681c, IST2_STACK, 0x6820, 2
    // Host.
    .quad 0x0c00, DATA_FLAT, 0x0c02, CODE64, 0x0c04, DATA_FLAT, 0x0c06, DATA_FLAT
    .quad 0x0c08, DATA_FLAT, 0x0c0a, DATA_FLAT, 0x0c0c, TASK
    .quad 0x6c02, PML4, 0x6c0a, TSS, 0x6c0c, GDT, 0x6c0e, IDT, 0x6c16, exited
fields_end:
