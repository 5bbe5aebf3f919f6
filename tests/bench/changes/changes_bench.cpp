// SPDX-License-Identifier: Apache-2.0
#include <pthread.h>
#include <cstdio>
#include <thread>
#include <algorithm>
#include "writers.h"
#include "observe/changes/log_port.h"
#include "private_bpffs.h"
using namespace mapshift; using namespace mapshift::test; using namespace mapshift::observe::changes;
static void pin_to(int c){cpu_set_t s;CPU_ZERO(&s);CPU_SET(c,&s);pthread_setaffinity_np(pthread_self(),sizeof s,&s);}
int main(){
  PrivateBpffs fs; 
  auto log=ChangeLog::open(fs.path()+"/c",64u<<20); if(!log){puts(log.error().message.c_str());return 1;}
  uint32_t a=*log->slot("m/logged",0), b=*log->slot("m/numbers",0);
  Writers w(&*log,a,b);
  w.object().data->mask=1023;
  auto port=LogPort::open(*log); Bell bell; Reader reader(**port,bell);
  Topic::Shape sh{1,1u<<15,4,16,false,false};
  auto t=std::make_shared<Topic>(sh); reader.add(a,t);
  std::thread([&]{pin_to(1);reader.start();}).join(); // inherits? affinity is inherited by the new thread
  pin_to(0);
  auto time=[&](auto f,int n){double best=1e9;for(int i=0;i<7;i++){auto t0=monotonic_now();f(n);double d=(monotonic_now()-t0).count()/double(n);best=std::min(best,d);}return best;};
  w.update(0,1024);
  log->set_flags(a,0);
  double plain=time([&](int n){w.plain(0,n);},1000000);
  double off=time([&](int n){w.update(0,n);},1000000);
  log->set_flags(a,MS_CHANGE_ON(MS_CHANGE_INSTRUMENTED));
  double on=time([&](int n){w.update(0,n);},1000000);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  printf("plain %.1f off %.1f on %.1f => cost %.1f\n",plain,off,on,on-plain);
  printf("seq %lu seen %lu lost %lu late %lu malformed %lu\n",log->sequence(a),t->seen(1,1),t->lost(),t->late(),reader.malformed());
  log->set_flags(b,MS_CHANGE_ON(MS_CHANGE_INSTRUMENTED));
  auto t2=std::make_shared<Topic>(Topic::Shape{1,1u<<15,4,8,false,false}); reader.add(b,t2);
  double poke=time([&](int n){w.poke(0,n);},1000000), touch=time([&](int n){w.touch(0,n);},1000000);
  printf("poke %.1f touch %.1f\n",poke,touch);
  { auto t0=monotonic_now(); const int n=8000000; w.touch(0,n); auto t1=monotonic_now(); while(t2->seen(1,1)+t2->lost()<log->sequence(b)) std::this_thread::yield(); auto t3=monotonic_now();
   printf("producer %.2f M/s, to consumer %.2f M/s lost %lu\n", n/((t1-t0).count()/1e3), n/((t3-t0).count()/1e3), t2->lost()); }
  auto h=reader.latency()[1]; printf("p50 %f p99 %f ms\n",*quantile(h,.5)*1e3,*quantile(h,.99)*1e3);
  reader.stop();
}
