//! The library's hooks on real servers: the argv that the program writes into a pod's annotations runs
//! beside a server that it did not choose, and what it leaves is loaded into a fresh one.

mod blocks;
pub mod by_hand;
mod capture;
mod consul;
mod etcd;
mod faults;
mod harness;
mod http;
mod influxdb;
mod installation;
mod mongodb;
pub mod mysql;
mod nats;
mod openldap;
pub mod postgresql;
mod proof;
mod rabbitmq;
pub mod redis;
mod server;
mod sqlite;
mod unproven;
pub mod writers;
mod zookeeper;
