// The host's functions as the library sees them (linked with ld's --wrap): code buffers near the
// program, a clock that follows guest progress, and a libm whose results depend on no host.
#include <mpfr.h>
#include <sys/mman.h>
#include <sys/time.h>

#include <cmath>
#include <cstdint>
#include <limits>

#include "cpu/engine/library.h"

extern "C" {
void* __real_mmap(void*, std::size_t, int, int, int, off_t);
void* __real_mmap64(void*, std::size_t, int, int, int, off64_t);
int __real_gettimeofday(struct timeval*, void*);
extern char __executable_start;
}

namespace {

using hvsim::cpu::engine::thread_context;

constexpr std::uintptr_t kStep = std::uintptr_t{64} << 20;
constexpr std::uintptr_t kReach =
    std::uintptr_t{0x78000000};  // of a 32-bit displacement, less slack

void* map_at(std::uintptr_t address, std::size_t bytes, int protection, int flags) {
    void* const wanted = reinterpret_cast<void*>(address);  // NOLINT
    void* const got = __real_mmap(wanted, bytes, protection, flags | MAP_FIXED_NOREPLACE, -1, 0);
    if (got == wanted) return got;
    if (got != MAP_FAILED) ::munmap(got, bytes);
    return nullptr;
}

/// Executable memory within reach of the program's calls: translated code calls helpers all the
/// time, and with 32-bit displacements it runs twice as fast. Downwards first, then from the far
/// end upwards of the program (its heap grows there from the near end).
void* map_near_program(std::size_t bytes, int protection, int flags) {
    const auto program = reinterpret_cast<std::uintptr_t>(&__executable_start);
    const std::uintptr_t start = program & ~(kStep - 1);
    for (std::uintptr_t down = kStep; down + bytes <= kReach && down + bytes < start; down += kStep)
        if (void* got = map_at(start - down - bytes, bytes, protection, flags)) return got;
    for (std::uintptr_t up = kReach & ~(kStep - 1); up >= bytes + kStep; up -= kStep)
        if (void* got = map_at(start + up - bytes, bytes, protection, flags)) return got;
    return nullptr;
}

bool is_code_buffer(const void* address, int protection, int flags) {
    return address == nullptr && (protection & PROT_EXEC) != 0 && (flags & MAP_ANONYMOUS) != 0;
}

void* map_code_buffer(std::size_t bytes, int protection, int flags) {
    void* got = map_near_program(bytes, protection, flags);
    if (got == nullptr) got = __real_mmap(nullptr, bytes, protection, flags, -1, 0);
    if (got != MAP_FAILED) {
        thread_context.code_buffer = static_cast<std::uint8_t*>(got);
        thread_context.code_buffer_bytes = bytes;
    }
    return got;
}

// Correctly rounded results (round to nearest even, subnormals included).
class Mpfr {
  public:
    explicit Mpfr(double value) {
        mpfr_init2(value_, std::numeric_limits<double>::digits);
        mpfr_set_d(value_, value, MPFR_RNDN);
    }
    ~Mpfr() { mpfr_clear(value_); }
    Mpfr(const Mpfr&) = delete;
    Mpfr& operator=(const Mpfr&) = delete;
    mpfr_ptr get() { return value_; }

  private:
    mpfr_t value_;
};

class DoubleRange {
  public:
    DoubleRange() : emin_(mpfr_get_emin()), emax_(mpfr_get_emax()) {
        mpfr_set_emin(-1073);
        mpfr_set_emax(1024);
    }
    ~DoubleRange() {
        mpfr_set_emin(emin_);
        mpfr_set_emax(emax_);
    }
    DoubleRange(const DoubleRange&) = delete;
    DoubleRange& operator=(const DoubleRange&) = delete;

  private:
    mpfr_exp_t emin_, emax_;
};

double rounded(Mpfr& result, int ternary) {
    mpfr_subnormalize(result.get(), ternary, MPFR_RNDN);
    if (mpfr_nan_p(result.get())) return -std::numeric_limits<double>::quiet_NaN();
    return mpfr_get_d(result.get(), MPFR_RNDN);
}

template <typename Function>
double apply(double x, Function function) {
    if (std::isnan(x)) return x + x;
    const DoubleRange range;
    Mpfr value(x);
    return rounded(value, function(value.get(), value.get(), MPFR_RNDN));
}

template <typename Function>
double apply(double x, double y, Function function) {
    if (std::isnan(x) || std::isnan(y)) return x + y;
    const DoubleRange range;
    Mpfr first(x);
    Mpfr second(y);
    return rounded(first, function(first.get(), first.get(), second.get(), MPFR_RNDN));
}

}  // namespace

extern "C" {

void* __wrap_mmap(void* address, std::size_t bytes, int protection, int flags, int file,
                  off_t offset) {
    if (is_code_buffer(address, protection, flags))
        return map_code_buffer(bytes, protection, flags);
    return __real_mmap(address, bytes, protection, flags, file, offset);
}

void* __wrap_mmap64(void* address, std::size_t bytes, int protection, int flags, int file,
                    off64_t offset) {
    if (is_code_buffer(address, protection, flags))
        return map_code_buffer(bytes, protection, flags);
    return __real_mmap64(address, bytes, protection, flags, file, offset);
}

/// The library resizes its TLBs by this clock; following code bytes (1,024 of them a microsecond),
/// two runs fill them equally often.
int __wrap_gettimeofday(struct timeval* time, void* zone) {
    if (thread_context.clock == nullptr) return __real_gettimeofday(time, zone);
    const std::uint64_t microseconds = *thread_context.clock >> 10;
    time->tv_sec = static_cast<time_t>(microseconds / 1'000'000);
    time->tv_usec = static_cast<suseconds_t>(microseconds % 1'000'000);
    return 0;
}

// The x87 instructions FSIN, FCOS, FSINCOS, FPTAN, FPATAN, FYL2X, FYL2XP1, F2XM1 end here. The
// host's libm picks its code by the host's FMA and gives other last bits with it than without.
double __wrap_sin(double x) {
    return apply(x, mpfr_sin);
}
double __wrap_cos(double x) {
    return apply(x, mpfr_cos);
}
double __wrap_tan(double x) {
    return apply(x, mpfr_tan);
}
double __wrap_log(double x) {
    return apply(x, mpfr_log);
}
double __wrap_pow(double x, double y) {
    if (x == 1.0 || y == 0.0) return 1.0;  // C11 F.10.4.4, also for a NaN
    return apply(x, y, mpfr_pow);
}
double __wrap_atan2(double y, double x) {
    return apply(y, x, mpfr_atan2);
}
void __wrap_sincos(double x, double* sine, double* cosine) {
    *sine = __wrap_sin(x);
    *cosine = __wrap_cos(x);
}
}
