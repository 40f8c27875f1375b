// A virtual machine monitor of the smallest kind, without a C library: makes a virtual machine through
// /dev/kvm, runs the sixteen-bit program below in it and serves its port and memory accesses.
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum {
    kMemory = 0x10000,        // bytes of guest memory from address 0
    kDevice = 0x20000,        // a page of no memory: accesses leave the guest
    kResultPort = 0x10,       // the program writes sums here
    kNumberPort = 0x12,       // and reads a number here
    kTickPort = 0x14,         // and writes here a thousand times
    kNumber = 1234,
    kTicks = 1000,
};

// --- the program that the virtual machine runs, in real mode ------------------------------------

__asm__(
    ".section .rodata\n"
    ".global program, program_end\n"
    "program:\n"
    ".code16\n"
    "    xorw %ax, %ax\n"
    "    movw $100, %cx\n"
    "1:  addw %cx, %ax\n"  // 100 + 99 + ... + 1
    "    loop 1b\n"
    "    outw %ax, $0x10\n"
    "    inw $0x12, %ax\n"
    "    addw %ax, %ax\n"
    "    outw %ax, $0x10\n"
    "    movw $0x2000, %bx\n"
    "    movw %bx, %ds\n"
    "    movl $0x12345678, %eax\n"
    "    movl %eax, 0x40\n"   // to the device at 0x20040
    "    movl 0x44, %eax\n"   // and back from it
    "    outl %eax, $0x10\n"
    "    movw $1000, %cx\n"
    "2:  outb %al, $0x14\n"
    "    loop 2b\n"
    "    hlt\n"
    "program_end:\n"
    ".code64\n"
    ".text\n");
extern const uint8_t program[], program_end[];

// --- system calls -------------------------------------------------------------------------------

static long call(long number, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static void leave(int code) {
    for (;;) call(SYS_exit, code, 0, 0, 0, 0, 0);
}

static void say(const char* text) {
    long length = 0;
    while (text[length] != 0) ++length;
    call(SYS_write, 1, (long)text, length, 0, 0, 0);
}

static void say_number(const char* label, uint64_t value) {
    char digits[24];
    int at = sizeof digits - 1;
    digits[at] = 0;
    do digits[--at] = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    say("vmm: ");
    say(label);
    say(" ");
    say(digits + at);
    say("\n");
}

static long check(const char* what, long result) {
    if (result >= 0) return result;
    say_number(what, (uint64_t)-result);
    leave(1);
    return 0;
}

static long control(const char* what, long file, unsigned long request, const void* argument) {
    return check(what, call(SYS_ioctl, file, (long)request, (long)argument, 0, 0, 0));
}

static uint8_t* map(long bytes, int flags, long file) {
    const long address = call(SYS_mmap, 0, bytes, PROT_READ | PROT_WRITE, flags, file, 0);
    if (address < 0 && address > -4096) check("mmap failed with error", address);
    return (uint8_t*)address;
}

// --- the monitor --------------------------------------------------------------------------------

static uint64_t results, reads, ticks, device_writes, device_reads;

static void serve_port(struct kvm_run* run) {
    uint8_t* data = (uint8_t*)run + run->io.data_offset;
    if (run->io.direction == KVM_EXIT_IO_IN && run->io.port == kNumberPort) {
        ++reads;
        data[0] = kNumber & 0xff;
        data[1] = kNumber >> 8;
    } else if (run->io.port == kResultPort) {
        uint64_t value = 0;
        for (int i = run->io.size - 1; i >= 0; --i) value = value << 8 | data[i];
        ++results;
        say_number("the guest's result is", value);
    } else if (run->io.port == kTickPort) {
        ++ticks;
    } else {
        say_number("unexpected port", run->io.port);
        leave(1);
    }
}

static void serve_device(struct kvm_run* run) {
    if (run->mmio.is_write) {
        uint64_t value = 0;
        for (int i = (int)run->mmio.len - 1; i >= 0; --i) value = value << 8 | run->mmio.data[i];
        ++device_writes;
        say_number("device written at", run->mmio.phys_addr);
        say_number("with", value);
    } else {
        ++device_reads;
        say_number("device read at", run->mmio.phys_addr);
        for (unsigned i = 0; i < run->mmio.len; ++i) run->mmio.data[i] = (uint8_t)(i + 1);
    }
}

static void run_machine(long vcpu, struct kvm_run* run) {
    for (;;) {
        control("KVM_RUN failed with error", vcpu, KVM_RUN, 0);
        switch (run->exit_reason) {
            case KVM_EXIT_IO: serve_port(run); break;
            case KVM_EXIT_MMIO: serve_device(run); break;
            case KVM_EXIT_HLT: return;
            default:
                say_number("unexpected exit reason", run->exit_reason);
                say_number("with hardware reason", run->hw.hardware_exit_reason);
                leave(1);
        }
    }
}

static void monitor(void) {
    const long kvm = check("cannot open /dev/kvm, error", call(SYS_open, (long)"/dev/kvm", O_RDWR, 0, 0, 0, 0));
    say_number("KVM API version", (uint64_t)control("no version", kvm, KVM_GET_API_VERSION, 0));
    const long machine = control("no machine", kvm, KVM_CREATE_VM, 0);
    control("no TSS", machine, KVM_SET_TSS_ADDR, (void*)0xfffbd000);
    uint8_t* memory = map(kMemory, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    for (long i = 0; i < program_end - program; ++i) memory[0x1000 + i] = program[i];
    const struct kvm_userspace_memory_region region = {
        .guest_phys_addr = 0, .memory_size = kMemory, .userspace_addr = (uint64_t)memory};
    control("no memory", machine, KVM_SET_USER_MEMORY_REGION, &region);
    const long vcpu = control("no processor", machine, KVM_CREATE_VCPU, 0);
    const long bytes = control("no size", kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    struct kvm_run* run = (struct kvm_run*)map(bytes, MAP_SHARED, vcpu);
    struct kvm_sregs special;
    control("no registers", vcpu, KVM_GET_SREGS, &special);
    special.cs.base = 0;
    special.cs.selector = 0;
    control("registers refused", vcpu, KVM_SET_SREGS, &special);
    const struct kvm_regs general = {.rip = 0x1000, .rsp = 0x8000, .rflags = 2};
    control("registers refused", vcpu, KVM_SET_REGS, &general);
    run_machine(vcpu, run);
    say_number("results", results);
    say_number("numbers read", reads);
    say_number("ticks", ticks);
    say_number("device writes", device_writes);
    say_number("device reads", device_reads);
    const int right = results == 3 && reads == 1 && ticks == kTicks && device_writes == 1 && device_reads == 1;
    say(right ? "vmm: the machine halted as it should\n" : "vmm: the counts are wrong\n");
    leave(!right);
}

__asm__(
    ".global _start\n"
    "_start:\n"
    "    xorl %ebp, %ebp\n"
    "    andq $-16, %rsp\n"
    "    call monitor_entry\n");
__attribute__((used)) void monitor_entry(void) { monitor(); }
